"""What `autoperf run` adds to starting a command, against a plain exec and against Python starting at all."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 20


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds to start and end a program that does nothing, over ``rounds`` alternating runs.

    ``plain`` is the program itself, ``python`` a Python that execs it at once, ``autoperf`` the launcher.
    """
    program = "/bin/true"
    beside = Path(sys.executable).with_name("autoperf")
    launcher = [str(beside)] if beside.exists() else [sys.executable, "-m", "autoperf"]
    commands = {
        "plain": [program],
        "python": [sys.executable, "-c", f"import os; os.execv({program!r}, [{program!r}])"],
        "autoperf": [*launcher, "run", program],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        _timed(command)  # writes bytecode, warms the disk
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(_timed(command))
    return {name: statistics.median(values) for name, values in times.items()}


def _timed(command: Sequence[str]) -> float:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, env=environment)
    return (time.perf_counter() - started) * 1000
