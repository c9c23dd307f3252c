"""What single seams of a real checkout cost, bare and under autoperf, alternating, in fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autoperf.benchmark.host.run import interpreter, prepare
from autoperf.benchmark.host.sandbox import Sandbox
from autoperf.benchmark.host.separate import told
from autoperf.benchmark.inside.seam_times import EMPTY, POINT
from autoperf.benchmark.model.server import ModelServer

SCRIPT = Path(__file__).parents[1] / "inside" / "seam_times.py"
_TIMEOUT = 180.0
BARE, OURS, WITHOUT_INOTIFY = "bare", "autoperf", "without_inotify"
_NO_INOTIFY = {"AUTOPERF_INOTIFY": "0"}
_EXTENSION = """\
from {package}.extension import Extension


class BenchmarkExtension(Extension):
    {prefix}def execute(self, **kwargs):
        pass
"""


def measure(
    checkout: Path,
    workdir: Path,
    prefix: Sequence[str],
    *,
    rounds: int = 3,
    python: str | None = None,
    progress: Callable[[str], Any] = str,
) -> dict[str, dict[str, list[float]]]:
    """Median nanoseconds a call, one value a round, by seam and then by `BARE`, `OURS`, `WITHOUT_INOTIFY`.

    Raises ``HostError`` when the checkout cannot be imported.
    """
    folder = workdir / "agent-zero"
    found: dict[str, dict[str, list[float]]] = {}
    with ModelServer() as model:
        host = prepare(checkout, folder, model.url)
        points = folder / ("extensions/python" if host.package == "helpers" else "python/extensions")
        (points / EMPTY).mkdir()
        (points / POINT).mkdir()
        source = _EXTENSION.format(package=host.package, prefix="" if host.package == "helpers" else "async ")
        (points / POINT / "_10_benchmark.py").write_text(source, encoding="utf-8")
        environment = Sandbox(workdir).environment({})
        command = [interpreter(checkout, python), str(SCRIPT)]
        ways = {
            BARE: (command, environment),
            OURS: ([*prefix, *command], environment),
            WITHOUT_INOTIFY: ([*prefix, *command], environment | _NO_INOTIFY),
        }
        for number in range(1, rounds + 1):
            for name, (words, variables) in ways.items():
                progress(f"seams, round {number} of {rounds}, {name.replace('_', ' ')}")
                for seam, nanoseconds in _run(words, folder, variables).items():
                    found.setdefault(seam, {way: [] for way in ways})[name].append(nanoseconds)
    return found


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> dict[str, float]:
    times: dict[str, float] = told(command, folder, environment, "seams", _TIMEOUT)
    return times
