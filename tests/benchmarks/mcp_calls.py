"""What a call to an MCP server over stdio takes: bare, its session kept, and with a server standing by."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.host.run import interpreter, prepare
from autoperf.benchmark.host.sandbox import Sandbox
from autoperf.benchmark.host.separate import told
from autoperf.benchmark.model.server import ModelServer
from autoperf.benchmark.parts import instrumented
from autoperf.benchmark.scenarios import tool_files

SCRIPT: Final = Path(__file__).with_name("mcp_times.py")
FEATURES: Final = {"bare": None, "mcp-keep": "+mcp-keep", "mcp-standby": "+mcp-standby"}
_TIMEOUT: Final = 600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Call a small Python server from a real Agent Zero's own client, one call after another, alternating.

    Exit status: 0 answers equal, 1 different, 2 the host could not be run.
    """
    options = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="autoperf-mcp-") as folder:
        try:
            found = measure(options.checkout.resolve(), Path(folder), options)
        except (FileNotFoundError, HostError) as error:
            print(f"autoperf benchmark: {error}", file=sys.stderr)
            return 2
    print("\n".join(_table({name: times for name, (times, _) in found.items()})))
    equal = len({tuple(answers) for _, answers in found.values()}) == 1
    print("answers equal" if equal else "answers differ")
    return 0 if equal else 1


def measure(
    checkout: Path, workdir: Path, options: argparse.Namespace
) -> dict[str, tuple[list[float], list[str]]]:
    """Milliseconds of every call and what it answered, by the name of the variant."""
    folder = workdir / "agent-zero"
    program = workdir / "server.py"
    program.write_text(tool_files.MCP_SERVER, encoding="utf-8")
    found: dict[str, tuple[list[float], list[str]]] = {name: ([], []) for name in FEATURES}
    with ModelServer() as model:
        prepare(checkout, folder, model.url)
        environment = Sandbox(workdir).environment({})
        words = [interpreter(checkout, options.python), str(SCRIPT), str(program)]
        words += [str(options.calls), str(options.pause)]
        for _ in range(options.rounds):
            for name, features in FEATURES.items():
                prefix: list[str] = []
                if features is not None:
                    prefix = instrumented.prefix(checkout, workdir, options.python, features=features)
                times, answers = _run([*prefix, *words], folder, environment)
                found[name][0].extend(times)
                found[name][1].extend(answers)
    return found


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[list[float], list[str]]:
    found = told(command, folder, environment, "calls", _TIMEOUT)
    return found["milliseconds"], found["answers"]


def _table(found: dict[str, list[float]]) -> Iterator[str]:
    bare = statistics.median(found["bare"])
    yield f"{'one call, ms':<14}{'median':>9}{'least':>9}{'most':>9}{'bare / it':>11}"
    for name, times in found.items():
        median = statistics.median(times)
        yield f"{name:<14}{median:>9.1f}{min(times):>9.1f}{max(times):>9.1f}{bare / median:>10.0f}x"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.mcp_calls", description=main.__doc__)
    parser.add_argument("checkout", type=Path, help="an Agent Zero checkout; it is copied, never written to")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind, alternating")
    parser.add_argument("--calls", type=int, default=5, help="calls in each, after a first one")
    parser.add_argument(
        "--pause", type=float, default=3.0, help="seconds between calls, as a model takes them"
    )
    parser.add_argument("--python", help="interpreter when the checkout has no .venv")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
