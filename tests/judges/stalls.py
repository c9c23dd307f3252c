"""Stalls of an event loop whose cause is known, and what the monitor makes of them.

    python tests/judges/stalls.py [--times 20] [SCENARIO...]

Each scenario runs in a process of its own. Prints how often each cause was named, and exits with 1 where one
was named rightly less than 19 times of 20. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

from autoperf.monitor import Monitor, Readings, Stall, Stalls
from autoperf.monitor import stalls as module
from autoperf.monitor.threads import delay

SECONDS = 0.6
MOST = 0.5
PATIENCE = 20
PAGES = 40_000
SHARE = 0.95
UNFIT = 3
SPIN = "while :; do :; done"


class UnfitError(Exception):
    """What this machine lacks for a scenario."""


class Scenario:
    """What stalls the loop, and what is to be said of it; ``setting`` surrounds all stalls of a process.

    With ``calm``, a stall in which the machine had no CPU for the loop or its holder for long is left out.
    """

    def __init__(
        self,
        cause: str,
        said: str | tuple[str, ...],
        stall: Callable[[Any], float | None],
        setting: Any = None,
        *,
        calm: bool = True,
    ) -> None:
        self.cause, self.said, self.stall, self.setting = cause, said, stall, setting or nothing
        self.calm = calm

    def right(self, stall: Stall) -> bool:
        """Whether the cause was named, with the function that is guilty where one is."""
        place = stall.holder if stall.cause == "lock" else (*stall.stack, "")[-1 if not stall.stack else -2]
        names = (self.said,) if isinstance(self.said, str) else self.said
        return stall.cause == self.cause and any(name in place for name in names)


def without_cpu() -> float:
    """For how long this thread was ready to run and had no CPU, in seconds."""
    return delay(threading.get_native_id()) or 0.0


@contextmanager
def nothing() -> Iterator[None]:
    """Nothing around."""
    yield None


def compute(_: Any) -> None:
    """The loop's own code, in Python."""
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        sum(range(1000))


def sleeper(_: Any) -> None:
    """A wait on the loop's thread."""
    time.sleep(SECONDS)


def poller(_: Any) -> None:
    """Many short waits, as often as one who waits for the interpreter lock."""
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        time.sleep(0.004)


def sleeper_in_c(_: Any) -> None:
    """A wait on the loop's thread that keeps the interpreter lock: nobody can look where it is meanwhile."""
    ctypes.PyDLL(None).usleep(int(SECONDS * 1e6))


def mark_dirty(pipe: int) -> None:
    """One byte to a pipe: here the thread lets go of the interpreter lock, and here every look finds it."""
    os.write(pipe, b"x")


def notifies(holders: tuple[Callable[[], None], int], stays: float = 0.2) -> float:
    """Writes a few bytes while others hold the interpreter lock, who stay for a while after that (s).

    Returns for how long one of them waited for a CPU (s).
    """
    hold, number = holders
    over = threading.Event()

    def holds() -> None:
        begun.release()
        before = without_cpu()
        hold()
        delayed.append(without_cpu() - before)
        over.set()
        time.sleep(stays)

    begun = threading.Semaphore(0)
    delayed = [0.0]
    for _ in range(number):
        threading.Thread(target=holds, name="indexer", daemon=True).start()
    reader, writer = os.pipe()
    for _ in range(number):
        begun.acquire()
    while not over.is_set():
        mark_dirty(writer)
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return max(delayed)


def in_c() -> None:
    """CPU time in one call of a C function."""
    sum(repeat(1, in_c.times))  # type: ignore[attr-defined]


def waits_in_c() -> None:
    """No CPU time, and the lock all the same."""
    ctypes.PyDLL(None).usleep(int(SECONDS * 1e6))


def in_python() -> None:
    """One of many threads that compute."""
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        sum(range(100))


@contextmanager
def measured_in_c() -> Iterator[Any]:
    """How many additions take so long here."""
    begun = time.thread_time()
    sum(repeat(1, 10**6))
    in_c.times = int(10**6 * SECONDS / (time.thread_time() - begun))  # type: ignore[attr-defined]
    yield in_c, 1


@contextmanager
def busy_beside() -> Iterator[None]:
    """Another thread that computes all the time, in Python."""
    over = threading.Event()

    def computes() -> None:
        while not over.is_set():
            sum(range(1000))

    threading.Thread(target=computes, name="indexer", daemon=True).start()
    yield None
    over.set()


@contextmanager
def spinner() -> Iterator[subprocess.Popen[bytes]]:
    """Another process on the only CPU that this one may use, and that has to give way to it; it stands."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with subprocess.Popen(["sh", "-c", SPIN]) as other:
        other.send_signal(signal.SIGSTOP)
        os.nice(19)
        try:
            yield other
        finally:
            other.kill()


def starved(other: subprocess.Popen[bytes]) -> None:
    """A few milliseconds of work with a fiftieth of a CPU."""
    other.send_signal(signal.SIGCONT)
    until = time.thread_time() + 0.015
    while time.thread_time() < until:
        sum(range(100))
    other.send_signal(signal.SIGSTOP)


def stopped(_: Any) -> None:
    """The whole process stands still, as in a frozen container."""
    after = f"sleep {SECONDS}; kill -CONT {os.getpid()}"
    with subprocess.Popen(["sh", "-c", after]):
        os.kill(os.getpid(), signal.SIGSTOP)


@contextmanager
def mapped_file() -> Iterator[tuple[int, mmap.mmap]]:
    """A file in memory, to be read from the disk again."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(mmap.PAGESIZE) * PAGES)
        file.flush()
        os.fsync(file.fileno())
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as found:
            found.madvise(mmap.MADV_RANDOM)
            yield file.fileno(), found


def reads_back(mapped: tuple[int, mmap.mmap]) -> None:
    """Page after page of a file that is no longer in memory."""
    descriptor, memory = mapped
    memory.madvise(mmap.MADV_DONTNEED)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    until = time.perf_counter() + SECONDS
    for page in range(PAGES):
        memory[page * mmap.PAGESIZE]
        if time.perf_counter() > until:
            return
    raise UnfitError("the whole file was there too soon: a folder on a disk is wanted, as TMPDIR")


def touches(_: Any) -> None:
    """New memory again and again: page faults without a disk are CPU time of the code that makes them."""
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        with mmap.mmap(-1, 64 * mmap.PAGESIZE) as memory:
            for page in range(64):
                memory[page * mmap.PAGESIZE] = 1


SCENARIOS = {
    "busy loop": Scenario("code", "compute", compute),
    "sleep": Scenario("wait", "sleeper", sleeper),
    "sleep beside a busy thread": Scenario("wait", "sleeper", sleeper, busy_beside),
    "sleep with the lock held": Scenario("wait", "", sleeper_in_c),
    "many short sleeps": Scenario("wait", "poller", poller),
    "lock held in C": Scenario("lock", "indexer in stalls.py", notifies, measured_in_c),
    "lock held by one who ends": Scenario(
        "lock",
        ("a thread that has ended", "indexer in stalls.py"),
        lambda setting: notifies(setting, 0.0),
        measured_in_c,
    ),
    "lock held by one who waits": Scenario(
        "lock", "indexer in stalls.py", lambda _: notifies((waits_in_c, 1))
    ),
    "lock held by many in turn": Scenario("lock", "indexer in stalls.py", lambda _: notifies((in_python, 8))),
    "starved process": Scenario("starved", "", starved, spinner, calm=False),
    "stopped process": Scenario("stopped", "", stopped, calm=False),
    "page faults from disk": Scenario("paging", "", reads_back, mapped_file),
    "page faults without a disk": Scenario("code", "touches", touches),
}


class Stalling:
    """A loop on a thread of its own, and a monitor at work on it."""

    def __init__(self) -> None:
        module._LONG_LIVED_S = 0.0
        here = Path(__file__).resolve().parent
        self.loop = asyncio.new_event_loop()
        self.monitor = Monitor(lambda: Readings(here / "none"), lambda: Stalls(str(here)), 3600.0)
        threading.Thread(target=self.loop.run_forever, name="AgentContext", daemon=True).start()
        self.monitor.start()
        self.run(self.turns())

    def run(self, coroutine: Any) -> Any:
        """What a coroutine returns on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(120)

    async def turns(self) -> None:
        """As a loop at work, for as long as the monitor takes to see it."""
        for _ in range(40):
            await asyncio.sleep(0.01)

    def once(self, scenario: Scenario, setting: Any) -> tuple[Stall, float]:
        """One stall as the monitor tells it, and how long the loop or its holder waited for a CPU (s)."""

        async def stalls() -> float:
            before = without_cpu()
            holder = scenario.stall(setting) or 0.0
            return max(holder, without_cpu() - before)

        known = self.monitor.stalls
        delayed = self.run(stalls())
        self.run(self.turns())
        deadline = time.monotonic() + 20
        while self.monitor.stalls == known and time.monotonic() < deadline:
            time.sleep(0.02)
        _, found = self.monitor.take()
        if not found:
            raise RuntimeError("the loop did not stall")
        return max(found, key=lambda one: one.seconds), delayed


def inside(name: str, times: int) -> dict[str, Any]:
    """Let a loop stall so often; what was said each time, and how many stalls were left out."""
    scenario = SCENARIOS[name]
    told: list[dict[str, Any]] = []
    left_out = 0
    # Threads take their place among the CPUs from the one that starts them.
    with scenario.setting() as setting:
        stalling = Stalling()
        while len(told) < times:
            stall, delayed = stalling.once(scenario, setting)
            if scenario.calm and delayed > MOST * stall.seconds:
                left_out += 1
                if left_out > PATIENCE + 4 * times:
                    raise UnfitError("this machine is too busy")
                continue
            told.append({**stall._asdict(), "right": scenario.right(stall)})
        stalling.monitor.stop()
    return {"told": told, "left_out": left_out}


def judge(name: str, times: int, *, verbose: bool = False) -> tuple[int, Counter[str]]:
    """How often the cause was named rightly, and what was said, in a process of its own."""
    command = [sys.executable, os.path.abspath(__file__), "--inside", "--times", str(times), name]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False
    )
    if done.returncode == UNFIT:
        raise UnfitError(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    told = answer["told"]
    if answer["left_out"]:
        print(f"{name}: {answer['left_out']} left out, the machine was busy", file=sys.stderr)
    if verbose:
        for one in told:
            print("   ", json.dumps(one))
    said = Counter(
        f"{one['cause'] or 'unknown'}: {one['holder'] or ['?', *one['stack']][-1]}" for one in told
    )
    return sum(one["right"] for one in told), said


def main() -> int:
    """Run the scenarios that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--verbose", action="store_true", help="print every stall")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        try:
            print(json.dumps(inside(options.scenarios[0], options.times)))
        except UnfitError as error:
            print(error, file=sys.stderr)
            return UNFIT
        return 0
    wrong = 0
    for name in options.scenarios or SCENARIOS:
        try:
            right, said = judge(name, options.times, verbose=options.verbose)
        except UnfitError as error:
            print(f"{name:<30} not here: {error}", flush=True)
            continue
        wrong += right < SHARE * options.times
        print(f"{name:<30} {right:>3} of {options.times}", flush=True)
        for text, times in said.most_common(4):
            print(f"    {times:>3} {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
