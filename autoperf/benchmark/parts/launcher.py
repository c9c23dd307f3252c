"""What `autoperf run` adds to a command's start, and the bootstrap to a Python that is not the host."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoperf.process.launcher import template_folder

ROUNDS = 20
_LEFT_OUT = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")


def measure(rounds: int) -> dict[str, float]:
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
    with tempfile.TemporaryDirectory() as home:  # each launch leaves a mark, which is none of the user's
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["AUTOPERF_HOME"] = home
        for number in range(-1, rounds):
            for name, command in commands.items():
                took = _timed(command, environment)
                if number >= 0:  # the first writes bytecode, and warms the disk
                    times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_bystander(rounds: int) -> dict[str, float]:
    """Median milliseconds and peak KiB of a Python that does nothing, without and with the bootstrap."""
    peak = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    folder = str(template_folder())
    found: dict[str, list[float]] = {"bare": [], "bootstrap": [], "bare_kib": [], "bootstrap_kib": []}
    for number in range(-1, rounds):
        for name, path in (("bare", None), ("bootstrap", folder)):
            environment = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT}
            if path is not None:
                environment["PYTHONPATH"] = path
            wall = _timed([sys.executable, "-c", "pass"], environment)
            shown = subprocess.run(
                [sys.executable, "-c", peak], env=environment, capture_output=True, check=True
            )
            if number >= 0:  # the first writes bytecode
                found[name].append(wall)
                found[f"{name}_kib"].append(float(shown.stdout))
    return {name: statistics.median(values) for name, values in found.items()}


def _timed(command: Sequence[str], environment: Mapping[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, env=environment)
    return (time.perf_counter() - started) * 1000
