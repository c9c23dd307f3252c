"""The small agent of the examples in place of a checkout: a scripted conversation in one process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import autoperf
from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.host.sandbox import Sandbox
from autoperf.benchmark.measure import own_account, samples
from autoperf.benchmark.measure.rounds import Variant
from autoperf.benchmark.measure.samples import (
    CPU,
    FIRST_CPU,
    LAST_CPU,
    PEAK,
    START_CPU,
    START_WALL,
    WALL,
    Sample,
)
from autoperf.benchmark.measure.transcript import Transcript

MEANING = "the mini agent: six messages of 20 tool calls each, in big chunks"
MISSING = "this installation has no examples/mini_agent; name an Agent Zero checkout"
_REPOSITORY = Path(autoperf.__file__).resolve().parents[1]
_OPTIONS = {"--messages": 6, "--tools": 20, "--chunk": 400}


def folder() -> Path | None:
    """Where the example lies; None in an installation, which has no examples."""
    found = _REPOSITORY / "examples" / "mini_agent"
    return found if (found / "run_ui.py").is_file() else None


def hold(workdir: Path, variant: Variant) -> Sample:
    """Run it once, bare or under autoperf, in a fresh process; ``HostError`` when it fails.

    CPU and wall time are told apart: the start, and each message; peak memory is that of the process.
    """
    source = folder()
    if source is None:
        raise HostError(MISSING)
    copy, written, state = workdir / "mini_agent", workdir / "transcript.json", workdir / "state"
    clocks = workdir / "clocks.json"
    if not copy.exists():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(state, ignore_errors=True)
    written.unlink(missing_ok=True)
    command = [*_prefix(state, variant), sys.executable, "run_ui.py", "--transcript", str(written)]
    command += ["--clocks", str(clocks), *(str(word) for option in _OPTIONS.items() for word in option)]
    begun = time.time()
    sample, pid = _run(command, copy, workdir)
    told = json.loads(written.read_text(encoding="utf-8"))
    if len(told["prompts"]) < _OPTIONS["--messages"] * _OPTIONS["--tools"]:
        raise HostError(f"the mini agent asked its model {len(told['prompts'])} times: nothing was compared")
    sample.values |= _apart(json.loads(clocks.read_text(encoding="utf-8")), begun)
    sample.transcript = Transcript({"transcript": tuple(json.dumps(told, indent=1).splitlines())})
    sample.counts = {"messages": _OPTIONS["--messages"], "steps": len(told["prompts"])}
    for what in (CPU, WALL):
        per = {"message": sample.counts["messages"], "step": sample.counts["steps"]}
        sample.values |= samples.shares(what, sample.values[what], per)
    if variant.features is not None:
        _say_of_itself(sample, state, pid)
    return sample


def _prefix(state: Path, variant: Variant) -> list[str]:
    if variant.features is None:
        return []
    words = [sys.executable, "-m", "autoperf", "run", "--quiet", "--home", str(state)]
    return [*words, "--features", variant.features]


def _environment(workdir: Path) -> dict[str, str]:
    environment = Sandbox(workdir).environment({})
    paths = [str(_REPOSITORY), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def _run(command: list[str], cwd: Path, workdir: Path) -> tuple[Sample, int]:
    with (workdir / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment(workdir),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        told = (workdir / "output.txt").read_text(encoding="utf-8", errors="replace")
        raise HostError(f"the mini agent ended with status {process.returncode}\n{told[-1500:]}")
    # macOS counts bytes where Linux counts KiB.
    peak = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Sample({PEAK: peak}), process.pid


def _apart(clocks: list[tuple[float, float]], begun: float) -> dict[str, float | None]:
    """The start and the messages of one run: CPU seconds and Unix time before the first, and after each."""
    cpu, wall = ([clock[which] for clock in clocks] for which in (0, 1))
    return {
        CPU: cpu[-1] - cpu[0],
        FIRST_CPU: cpu[1] - cpu[0],
        LAST_CPU: cpu[-1] - cpu[-2],
        WALL: wall[-1] - wall[0],
        START_CPU: cpu[0],
        START_WALL: wall[0] - begun,
    }


def _say_of_itself(sample: Sample, state: Path, pid: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "autoperf", "status", "--json", "--pid", str(pid), "--home", str(state)],
        env=_environment(state.parent),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    try:
        shown: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise HostError(f"autoperf status says nothing of this run: {done.stderr.strip()}") from None
    own_account.add(sample, [shown])
