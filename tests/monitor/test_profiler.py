"""The sampling profiler: whose functions are hot, which threads only wait, and when it ends."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.tool import Call
from autoperf.monitor import profiler, threads
from autoperf.monitor.profiler import Function, Sampler, Standing, described
from autoperf.process.optimizer.profile import Messages, Profiling, shown
from tests.process.optimizer.test_optimizer import made

HERE = str(Path(__file__).resolve().parents[1])


@contextmanager
def frame_of(work: Callable[[threading.Event], None], reached: Callable[[], bool]) -> Iterator[FrameType]:
    """The innermost frame of a thread that is at ``work`` until the block ends."""
    end = threading.Event()
    thread = threading.Thread(target=work, args=(end,), daemon=True)
    thread.start()
    while not reached():
        time.sleep(0.001)
    try:
        frame = sys._current_frames()[thread.ident or 0]
        yield frame
    finally:
        end.set()
        thread.join()


BUSY = {"spins": False}


def spins(end: threading.Event) -> None:
    def inner() -> None:
        BUSY["spins"] = True
        while not end.is_set():
            time.sleep(0)

    inner()


def waits(end: threading.Event) -> None:
    BUSY["waits"] = True
    end.wait()


def looking(root: str = HERE) -> Sampler:
    return Sampler(root, lambda: "look", 60.0)


def names(counter: dict[Function, int]) -> dict[str, tuple[str, int]]:
    return {function.name.rpartition(".")[2]: (function.owner, n) for function, n in counter.items()}


def innermost(frame: FrameType, name: str) -> FrameType:
    """From there outwards to the function ``name``: where exactly a loop stands is chance."""
    found: FrameType | None = frame
    while found is not None and found.f_code.co_name != name:
        found = found.f_back
    assert found is not None
    return found


def test_the_innermost_function_and_all_around_it_count_once_a_look() -> None:
    BUSY["spins"] = False
    sampler = looking()
    with frame_of(spins, lambda: BUSY["spins"]) as frame:
        inner = innermost(frame, "inner")
        for _ in range(3):
            sampler.note([("AgentContext", inner)])
    profile = sampler.profile
    assert (profile.looks, profile.samples, dict(profile.busy)) == (3, 3, {"AgentContext": 3})
    assert names(profile.own) == {"inner": ("host", 3)}
    around = names(profile.within)
    assert around["inner"] == around["spins"] == ("host", 3)
    assert around["run"] == ("library", 3)
    assert names(profile.host) == {"inner": ("host", 3)}


def test_what_a_library_does_counts_for_the_host_function_that_called_it() -> None:
    sampler = looking()

    def shown(_: object) -> str:
        sampler.note([("t", sys._getframe().f_back)])  # type: ignore[list-item]
        return "x"

    def asks() -> None:
        json.dumps({"a": object()}, default=shown, indent=1)

    asks()
    profile = sampler.profile
    (innermost,) = profile.own
    assert (innermost.owner, innermost.place.partition(":")[0]) == ("library", "json/encoder.py")
    assert names(profile.host) == {"asks": ("host", 1)}


def test_a_function_that_calls_itself_counts_once() -> None:
    def deeper(depth: int) -> None:
        if depth:
            deeper(depth - 1)
        else:
            sampler.note([("t", sys._getframe())])

    sampler = looking()
    deeper(5)
    assert names(sampler.profile.within)["deeper"] == ("host", 1)


def test_who_waits_is_not_busy_and_neither_are_we() -> None:
    BUSY["waits"] = False
    sampler = looking()
    with frame_of(waits, lambda: bool(BUSY["waits"])) as frame:
        while frame.f_code.co_name != "wait":  # it may not have got there yet
            time.sleep(0.001)
            frame = next(f for f in sys._current_frames().values() if f.f_back and waits.__code__ in codes(f))
        sampler.note([("AgentContext", frame), ("autoperf-monitor", sys._getframe())])
    assert (sampler.profile.looks, sampler.profile.samples) == (1, 0)


def at_work(sampler: Standing, frame: FrameType, looks: int = 3) -> list[bool]:
    return [sampler.still(7, frame) for _ in range(looks)]


def stands(end: threading.Event) -> None:
    BUSY["stands"] = True
    end.wait()


@pytest.mark.parametrize(
    ("spent", "still"),
    [
        ([0, 0], [True, True, True]),
        ([0, 4_900_000], [True, True, True]),
        ([0, 5_100_000], [False, False, False]),
        ([None, None], [False, True, True]),
        ([None, 9_000_000], [False, True, True]),
    ],
)
def test_a_thread_without_cpu_time_stands_and_where_nobody_tells_one_at_the_same_instruction(
    spent: list[int | None], still: list[bool]
) -> None:
    readings = iter(spent)
    standing = Standing(lambda native: next(readings))
    with frame_of(stands, lambda: bool(BUSY.get("stands"))) as frame:
        standing.measure({7: 70}, 100.0)
        standing.measure({7: 70}, 100.1)
        assert at_work(standing, innermost(frame, "stands")) == still


def test_an_event_loop_that_stands_is_looked_at() -> None:
    import asyncio

    standing = Standing(lambda native: 0)

    async def stands_in_a_loop() -> list[bool]:
        return at_work(standing, sys._getframe())

    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(stands_in_a_loop()) == [False, False, False]
    finally:
        loop.close()


def test_cpu_time_of_a_thread_where_the_system_tells() -> None:
    first = threads.cpu_ns(threading.get_native_id())
    assert threads.cpu_ns(-1) is None
    if first is not None:
        sum(range(300_000))
        assert (threads.cpu_ns(threading.get_native_id()) or 0) > first


def codes(frame: FrameType | None) -> list[object]:
    found: list[object] = []
    while frame is not None:
        found.append(frame.f_code)
        frame = frame.f_back
    return found


@pytest.mark.parametrize(
    ("file", "owner", "place"),
    [
        ("{root}/agent.py", "host", "agent.py:1"),
        ("{root}/python/helpers/log.py", "host", "python/helpers/log.py:1"),
        ("{root}/.venv/lib/python3.12/site-packages/litellm/main.py", "library", "litellm/main.py:1"),
        ("/usr/lib/python3/dist-packages/yaml/reader.py", "library", "yaml/reader.py:1"),
        ("/usr/lib/python3.12/json/decoder.py", "library", "json/decoder.py:1"),
        (profiler.__file__, "autoperf", "autoperf/monitor/profiler.py:1"),
        ("<string>", "library", "<string>:1"),
    ],
)
def test_whose_function_it_is(file: str, owner: str, place: str) -> None:
    code = compile("0", file.format(root="/a0"), "exec")
    function = described(code, "/a0/")
    assert (function.owner, function.place) == (owner, place)


def test_it_looks_on_a_thread_of_its_own_until_it_is_stopped() -> None:
    sampler = Sampler(HERE, lambda: "look", 60.0, interval=0.001)
    sampler.start()
    deadline = time.monotonic() + 30
    # On a busy machine this thread may have had no time yet when it was first asked how much it had.
    while (sampler.profile.looks < 5 or not sampler.profile.busy) and time.monotonic() < deadline:
        sum(range(1000))
    profile = sampler.stop()
    assert profile.looks >= 5
    assert not sampler.running
    assert profile.busy["MainThread"] > 0
    assert not any(name.startswith("autoperf") for name in profile.busy)
    seen = profile.looks
    time.sleep(0.02)
    assert profile.looks == seen


def test_who_stood_still_from_the_start_is_never_counted() -> None:
    begun: list[int] = []

    def waits(pipe: int) -> None:
        begun.append(pipe)
        os.read(pipe, 1)

    read, write = os.pipe()
    waiting = [threading.Thread(target=waits, args=(read,), name=f"waits-{n}") for n in range(5)]
    for thread in waiting:
        thread.start()
    while len(begun) < len(waiting):
        time.sleep(0.01)
    time.sleep(0.05)
    sampler = Sampler(HERE, lambda: "look", 60.0, interval=0.001)
    sampler.start()
    deadline = time.monotonic() + 30
    while sampler.profile.looks < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    profile = sampler.stop()
    os.write(write, b"x" * len(waiting))
    for thread in waiting:
        thread.join()
    os.close(read)
    os.close(write)
    assert profile.looks >= 5
    assert not [name for name in profile.busy if name.startswith("waits-")]


def test_its_time_and_what_it_costs_are_those_of_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    now, spent = [100.0], [0.0]
    waited: list[float] = []
    phases = iter(["look", "look", "look", "pause", "pause", "look", "look", "end"])
    sampler = Sampler(HERE, lambda: next(phases), 60.0, interval=0.01)

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        now[0] += max(seconds, 0.2)  # so that the phase is asked for each time
        return False

    def look() -> list[Any]:
        spent[0] += 0.03
        return []

    clock = types.SimpleNamespace(monotonic=lambda: now[0], thread_time=lambda: spent[0])
    monkeypatch.setattr(profiler, "time", clock)
    monkeypatch.setattr(sampler._over, "wait", wait)
    monkeypatch.setattr(sampler, "_stacks", look)
    sampler._run()
    profile = sampler.profile
    assert profile.looks == 3, "the first after the start and after a pause only finds out who waits"
    # 3 % of the time: 0.03 s of looking, then a second of none. The pause does not count.
    assert waited == pytest.approx([0.01, 0.01, 1.0, 1.0, 0.2, 0.2, 0.01, 1.0])
    assert profile.seconds == pytest.approx(0.2 + 1.0 + 0.2)
    assert profile.cost == pytest.approx(0.09)


@pytest.mark.parametrize(("phase", "limit"), [("end", 60.0), ("look", 0.0)])
def test_it_ends_by_itself(phase: str, limit: float) -> None:
    sampler = Sampler(HERE, lambda: phase, limit, interval=0.001)
    sampler.start()
    sampler._thread.join(30)
    assert not sampler.running
    assert sampler.profile.looks <= 1


def test_what_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiler, "_PATIENCE_S", 0.0)
    sampler = Sampler(HERE, lambda: "pause", 0.01, interval=0.001)
    sampler.start()
    sampler._thread.join(30)
    assert not sampler.running


def test_in_a_pause_it_does_not_look() -> None:
    phases = iter(["pause", "pause", "end"])
    sampler = Sampler(HERE, lambda: next(phases), 60.0, interval=0.001)
    sampler.start()
    sampler._thread.join(30)
    assert (sampler.profile.looks, sampler.profile.seconds) == (0, 0.0)


def test_a_profile_ends_with_the_process_and_is_not_its_childs(tmp_path: Path) -> None:
    process = made("v0_9_8", tmp_path)
    profiling = Profiling(process)
    before = threading.active_count()
    assert profiling.profile(Call(Chat(), {})).startswith("Sampling all threads")
    (sampler,) = [one for one in (profiling._sampler,) if one is not None]
    assert sampler.running
    profiling._lock.acquire()
    for work in process.probe.after_fork:
        work()
    assert profiling._sampler is None
    profiling._lock.acquire(timeout=10)
    profiling._lock.release()
    profiling._sampler = sampler
    for work in process.probe.at_stop:
        work()
    assert not sampler.running
    assert threading.active_count() <= before
    assert profiling._sampler is None


class Chat:
    """A tool's agent whose chat is over or not, as told."""

    def __init__(self) -> None:
        self.agent = self.context = self.task = self
        self.over = False

    def is_ready(self) -> bool:
        return self.over


def test_this_message_and_the_next_one_but_not_the_time_between() -> None:
    chat = Chat()
    messages = Messages(Call(chat, {}))
    phases = []
    for over in (False, False, True, True, False, False, True, True, False):
        chat.over = over
        phases.append(messages.phase())
    assert phases == ["look", "look", "pause", "pause", "look", "look", "end", "end", "end"]


def test_what_is_shown() -> None:
    sampler = looking()
    assert shown(sampler.profile) == ["No sample was taken yet."]
    host, library = Function("host", "agent.py:9", "Agent.monologue"), Function("library", "json:1", "loads")
    profile = sampler.profile
    profile.looks, profile.seconds, profile.cost = 10, 2.0, 0.05
    assert shown(profile)[1].startswith("Every thread waited")
    profile.busy.update({"AgentContext": 4})
    profile.own.update({library: 3, host: 1})
    profile.within.update({host: 4, library: 3})
    profile.host.update({host: 4})
    text = "\n".join(shown(profile))
    assert "10 looks in 2.0 s, 4 at busy threads; the sampling took 2.5% of a core" in text
    assert "threads: AgentContext 100%" in text
    assert "innermost function: library 75%, host 25%" in text
    assert "| loads (json:1) | library | 75.0% | 75.0% |" in text
    assert "| Agent.monologue (agent.py:9) | host | 25.0% | 100.0% |" in text
    assert "| Agent.monologue (agent.py:9) | host | 100.0% | 100.0% |" in text
