"""A conversation under `autoperf run`, with what autoperf said of itself after every turn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoperf.benchmark.host.process import HostError, HostProcess
from autoperf.benchmark.host.run import interpreter
from autoperf.benchmark.parts.comparison import Comparison, compare
from autoperf.benchmark.scenarios.conversation import Conversation
from autoperf.insight.facts.patches import patches

# The record of a process is written every second.
SETTLED_SECONDS = 1.5


@dataclass(frozen=True)
class Effect:
    """What one comparison showed; ``hit_rates`` are those of the last turn alone, by cache."""

    comparison: Comparison
    patches_applied: int
    patches_wanted: int
    hit_rates: dict[str, float | None]
    failures: list[Any]


def command(checkout: Path, python: str | None = None) -> str:
    """The ``autoperf`` beside the checkout's interpreter, else beside ours, else on PATH."""
    places = [Path(interpreter(checkout, python)).parent, Path(sys.executable).parent]
    found = next((str(p / "autoperf") for p in places if (p / "autoperf").exists()), shutil.which("autoperf"))
    if found is None:
        raise HostError("there is no autoperf command in the environment of the checkout, here, or on PATH")
    return found


def prefix(checkout: Path, workdir: Path, python: str | None = None, *, features: str = "all") -> list[str]:
    """The command line that puts autoperf before the host's, with a state directory in ``workdir``."""
    return [command(checkout, python), "run", "--home", str(workdir / "state"), "--features", features]


def measure(
    checkout: Path,
    conversation: Conversation,
    workdir: Path,
    *,
    python: str | None = None,
    features: str = "all",
    **options: Any,
) -> Effect:
    """Hold ``conversation`` bare and under autoperf; ``options`` go to `autoperf.benchmark.host.run.run`."""
    words = prefix(checkout, workdir, python, features=features)

    def observe(process: HostProcess) -> Any:
        time.sleep(SETTLED_SECONDS)
        return status(words[0], workdir / "state", process.pid)

    comparison = compare(checkout, conversation, workdir, words, python=python, observe=observe, **options)
    shown = [row for row in comparison.second.observed if isinstance(row, dict)]
    if not shown:
        raise HostError(f"autoperf status says nothing of this run: {comparison.second.observed}")
    said = patches(shown[-1])
    return Effect(
        comparison,
        said.applied,
        said.wanted,
        {name: _last_turn(shown, name) for name in ("tools", "extensions")},
        shown[-1]["failures"],
    )


def status(autoperf: str, home: Path, pid: int) -> Any:
    """What `autoperf status --json` says of one process: its record, or the text of a complaint."""
    done = subprocess.run(
        [autoperf, "status", "--json", "--pid", str(pid), "--home", str(home)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stderr


def _last_turn(shown: Sequence[Mapping[str, Any]], name: str) -> float | None:
    now = shown[-1]["lookups"][name]
    before = shown[-2]["lookups"][name] if len(shown) > 1 else {"lookups": 0, "hits": 0}
    lookups = now["lookups"] - before["lookups"]
    # Hits are None where no loader of ours told of any.
    known = lookups and now["hits"] is not None
    return (now["hits"] - (before["hits"] or 0)) / lookups if known else None
