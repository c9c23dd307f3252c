"""Event loops that are blocked on purpose: how long, by what, and that they are left as they were."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

from autoperf.monitor import stalls as module
from autoperf.monitor.loops import Busy
from autoperf.monitor.stalls import Stalls

HOST = """
import time

class Agent:
    chat = "c1"

    async def monologue(self, seconds):
        return await self.step(seconds)

    async def step(self, seconds):
        blocking(seconds)

def blocking(seconds):
    time.sleep(seconds)

def spinning(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
"""


@pytest.fixture
def host(tmp_path: Path) -> ModuleType:
    path = tmp_path / "agent.py"
    path.write_text(HOST)
    spec = importlib.util.spec_from_file_location("blocked_host", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, name="AgentContext", daemon=True)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(5)
    made.close()


@pytest.fixture
def watching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stalls]:
    monkeypatch.setattr(module, "_LONG_LIVED_S", 0.0)

    def make(**more: Any) -> Stalls:
        made = Stalls(str(tmp_path), **more)
        made.discover()
        return made

    return make


def until_told(stalls: Stalls, future: Any) -> list[Any]:
    """Watch as the monitor does until the loop is free again and has told of it."""
    told = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        told += stalls.watch()
        if told and future.done():
            return told
        time.sleep(0.02)
    return told


def block(seconds: float) -> None:
    time.sleep(seconds)


def run(loop: asyncio.AbstractEventLoop, coroutine: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, loop)


def test_a_blocked_loop_is_told_with_the_hosts_stack(
    host: ModuleType, loop: asyncio.AbstractEventLoop, watching: Callable[..., Stalls]
) -> None:
    def place(frames: list[FrameType]) -> dict[str, str]:
        return {"chat": frames[0].f_locals["self"].chat, "tool": ""}

    stalls = watching(whereabouts=place)
    before = time.time()
    (stall,) = until_told(stalls, run(loop, host.Agent().monologue(0.5)))
    assert stall.seconds == pytest.approx(0.5, abs=0.2)
    assert before - 0.1 <= stall.at <= before + 1
    assert [line.partition(" ")[2] for line in stall.stack] == ["monologue", "step", "blocking"]
    assert stall.stack[-1].startswith("agent.py:")
    assert (stall.chat, stall.loop, stall.inside) == ("c1", "AgentContext", "")


def test_a_loop_that_is_busy_for_a_short_time_is_no_stall_but_the_longest_time_is_known(
    host: ModuleType, loop: asyncio.AbstractEventLoop, watching: Callable[..., Stalls]
) -> None:
    stalls = watching()

    async def short() -> None:
        host.spinning(0.1)

    run(loop, short()).result(5)
    run(loop, asyncio.sleep(0)).result(5)
    assert stalls.watch() == []
    assert stalls.lags()["AgentContext"] == pytest.approx(0.1, abs=0.08)
    run(loop, asyncio.sleep(0)).result(5)
    assert stalls.lags()["AgentContext"] < 0.05, "the second answer covers its own time only"


def test_every_stall_counts_though_nobody_looked(
    loop: asyncio.AbstractEventLoop, watching: Callable[..., Stalls]
) -> None:
    stalls = watching()

    async def blocked() -> None:
        block(0.3)

    for _ in range(3):
        run(loop, blocked()).result(5)
        run(loop, asyncio.sleep(0)).result(5)
    told = stalls.watch()
    assert [round(stall.seconds, 1) for stall in told] == [0.3] * 3
    assert [stall.stack for stall in told] == [(), (), ()]


def test_a_stall_in_a_library_names_where_it_was(
    loop: asyncio.AbstractEventLoop, watching: Callable[..., Stalls]
) -> None:
    stalls = watching()

    async def blocked() -> None:
        block(0.5)

    (stall,) = until_told(stalls, run(loop, blocked()))
    assert stall.stack == ()
    assert stall.inside.endswith("test_stalls.block")


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
@pytest.mark.parametrize(("work", "causes"), [("blocking", {"wait"}), ("spinning", {"code", "starved"})])
def test_a_stall_says_what_its_thread_used(
    host: ModuleType,
    loop: asyncio.AbstractEventLoop,
    watching: Callable[..., Stalls],
    work: str,
    causes: set[str],
) -> None:
    stalls = watching()
    run(loop, asyncio.sleep(0)).result(5)

    async def working() -> None:
        getattr(host, work)(0.5)

    (stall,) = until_told(stalls, run(loop, working()))
    assert stall.cause in causes, stall
    assert stall.looks[0][0].endswith(f" {work}")
    # On a busy machine a loop that computes has less CPU time, but more than one that sleeps.
    assert (stall.measured["cpu"] > 0.02) is (work == "spinning")
    assert stall.measured.keys() >= {"cpu", "waits", "faults", "reads", "process", "load"}


def test_released_the_selector_is_as_it_was(
    loop: asyncio.AbstractEventLoop, watching: Callable[..., Stalls]
) -> None:
    selector = loop._selector  # type: ignore[attr-defined]
    stalls = watching()
    assert "select" in vars(selector)
    stalls.release()
    assert "select" not in vars(selector)
    assert stalls.lags() == {}


def test_a_wrapper_on_top_of_ours_stays(loop: asyncio.AbstractEventLoop) -> None:
    selector = loop._selector  # type: ignore[attr-defined]
    busy = Busy(loop, None, 0, time.perf_counter)
    on_top = selector.select
    selector.select = lambda timeout=None: on_top(timeout)
    theirs = selector.select
    busy.release()
    assert vars(selector)["select"] is theirs
    run(loop, asyncio.sleep(0)).result(5)


def test_a_watched_loop_that_nobody_closes_ends_with_its_last_reference(tmp_path: Path) -> None:
    stalls = Stalls(str(tmp_path))
    made = asyncio.new_event_loop()
    stalls._loops[id(made)] = Busy(made, None, 0, time.perf_counter)
    made.run_until_complete(asyncio.sleep(0))
    gone = weakref.ref(made)
    del made
    with pytest.warns(ResourceWarning):  # Python's: nobody has closed it
        gc.collect()
    assert gone() is None
    stalls.discover()
    assert stalls._loops == {}
    stalls.release()


def test_a_loop_that_is_new_or_over_is_not_watched(tmp_path: Path) -> None:
    stalls = Stalls(str(tmp_path))
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    while not made.is_running():
        time.sleep(0.01)
    clock = time.perf_counter()
    stalls._clock = lambda: clock
    stalls.discover()
    assert stalls.lags() == {}
    clock += 2.5
    stalls.discover()
    assert set(stalls.lags()) == {thread.name}
    made.call_soon_threadsafe(made.stop)
    thread.join(5)
    made.close()
    stalls.discover()
    assert stalls.lags() == {}


def test_an_exception_of_the_selector_passes(loop: asyncio.AbstractEventLoop) -> None:
    class BrokenError(Exception):
        pass

    class Selector:
        def select(self, timeout: float | None = None) -> Any:
            raise BrokenError

    class Loop:
        _selector = Selector()

    owner = Loop()
    busy = Busy(owner, None, 0, time.perf_counter)
    with pytest.raises(BrokenError):
        owner._selector.select(0)
    assert busy.awake_since > 0
