"""Signals and the functions that leave a process: as bare, in the process, in C code and in its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from autoperf.insight.processes import newest, runs
from autoperf.telemetry.store.store import Store
from tests.telemetry_process import PRELUDE, run, spawn, stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and POSIX signals"),
]

# A loop that never returns to the interpreter, so no signal handler written in Python runs.
IN_C = "__import__('collections').deque(__import__('itertools').repeat(0), maxlen=0)"

SCRIPTS = {
    "dispositions": """
        print([str(signal.getsignal(each)) for each in sorted(signal.valid_signals())])
        print(os.execv, os.execve, os._exit)
        """,
    "a forked child": """
        child = os.fork()
        if child == 0:
            os.write(1, str(signal.getsignal(signal.SIGTERM)).encode())
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        """,
    "a child in C code": f"""
        import multiprocessing
        def spin(ready):
            ready.send(1)
            {IN_C}
        fork = multiprocessing.get_context("fork")
        here, there = fork.Pipe()
        child = fork.Process(target=spin, args=(there,))
        child.start()
        here.recv()
        child.terminate()
        child.join(20)
        print(child.exitcode)
        if child.exitcode is None:
            child.kill()
        """,
    "a pool in C code": f"""
        import multiprocessing
        def spin(number):
            os.write(1, b"at work")
            {IN_C}
        pool = multiprocessing.get_context("fork").Pool(1)
        pool.apply_async(spin, (1,))
        time.sleep(0.5)
        pool.terminate()
        pool.join()
        print("ended")
        """,
    "asyncio": """
        import asyncio
        async def main():
            loop, seen = asyncio.get_running_loop(), asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, seen.set)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(seen.wait(), 20)
            print("seen", loop.remove_signal_handler(signal.SIGTERM), signal.getsignal(signal.SIGTERM))
        asyncio.run(main())
        """,
    "a handler of the host's": """
        signal.signal(signal.SIGTERM, lambda *_: print("mine"))
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.signal(signal.SIGTERM, signal.SIG_DFL).__name__)
        """,
    "an exec that fails": """
        try:
            os.execv(os.path.dirname(sys.executable), ["x"])
        except OSError as error:
            print(error)
        """,
}
BARE = "import os, sys, time, signal\n"


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_process_sees_what_it_sees_bare(tmp_path: Path, case: str) -> None:
    seen = []
    for prelude in (BARE, PRELUDE):
        code = prelude + "\n" + textwrap.dedent(SCRIPTS[case])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        seen.append((done.returncode, done.stdout, done.stderr))
    assert seen[0] == seen[1]
    assert (seen[0][0], seen[0][2]) == (0, "")


def test_a_process_in_c_code_dies_of_sigterm_and_what_was_written_is_kept(tmp_path: Path) -> None:
    code = f"""
        with telemetry.span("turn"):
            with telemetry.span("done"): pass
            telemetry.flush()
            print("ready", flush=True)
            {IN_C}
    """
    process = spawn(code, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (-signal.SIGTERM, "")
    assert "done" in [span["name"] for span in stored(tmp_path)]
    assert Store.open(tmp_path).processes()[0]["ended"] is None


@pytest.mark.parametrize(
    "leave",
    [
        "os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])",
        "os.execve(sys.executable, [sys.executable, '-c', 'print(1)'], {**os.environ})",
        "os.execlp('true', 'true')",
        "os._exit(0)",
    ],
)
def test_what_ended_a_second_before_the_process_is_replaced_is_kept(tmp_path: Path, leave: str) -> None:
    code = f"""
        with telemetry.span("done"): pass
        time.sleep(2.5)
        {leave}
    """
    result = run(code, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert [span["name"] for span in stored(tmp_path)] == ["done"]


def test_a_program_that_became_another_by_exec_does_not_run_any_more(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"{PRELUDE}\ntelemetry.flush()\nprint('ready', flush=True)\ntime.sleep(60)\n")
    code = f"""
        telemetry.flush()
        os.execv(sys.executable, [sys.executable, {str(program)!r}, sys.argv[1]])
    """
    process = spawn(code, tmp_path / "state")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    found = newest(tmp_path / "state")
    running = [runs(record) for record in found]
    process.kill()
    process.communicate(timeout=20)
    assert [record["pid"] for record in found] == [process.pid] * 2
    assert running == [True, False]
    assert found[1]["ended"] == found[1]["updated"], "the last sign of life"
