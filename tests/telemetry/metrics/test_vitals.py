"""Numbers that come from outside: event loops answer late, and the system tells of the process."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from types import SimpleNamespace

import pytest

from autoperf.telemetry.metrics.loop_lag import Loops
from autoperf.telemetry.metrics.vitals import Vitals
from tests.conftest import Clock


def test_a_loop_that_is_held_up_shows_how_long() -> None:
    clock = Clock()
    loops = Loops(clock)

    async def host() -> None:
        loops.note()
        loops.ask()  # not yet: it is not known for long
        clock.now += 10
        loops.ask()
        clock.now += 0.25  # blocking
        loops.ask()  # it still owes an answer
        await asyncio.sleep(0)
        loops.ask()
        await asyncio.sleep(0)

    asyncio.run(host())
    assert [(round(lag, 6), thread) for lag, thread in loops.answers()] == [
        (0.25, "MainThread"),
        (0, "MainThread"),
    ]
    assert loops.answers() == []


def test_loops_are_held_weakly_and_their_threads_named_without_numbers() -> None:
    clock = Clock()
    loops = Loops(clock)
    lags: list[tuple[float, str]] = []

    async def host() -> None:
        loops.note()
        clock.now += 10
        loops.ask()
        await asyncio.sleep(0)
        lags.extend(loops.answers())

    thread = threading.Thread(target=lambda: asyncio.run(host()), name="Thread-17 (worker)")
    thread.start()
    thread.join()
    assert lags == [(0, "Thread")]
    loops.note()  # no loop runs here
    gc.collect()
    assert loops._known == {}
    loops.ask()


def test_cpu_is_a_share_of_the_cpus_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    vitals = Vitals(clock)
    used = vitals._process.cpu_times()
    monkeypatch.setattr(
        vitals, "_process", SimpleNamespace(cpu_times=lambda: used._replace(user=used.user + 3))
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 5}, raising=False)
    clock.now += 10
    assert vitals._cpu() == {"cpu_user": pytest.approx(0.1), "cpu_system": 0}


def test_cpu_is_a_share_of_the_time_since_the_last_reading() -> None:
    clock = Clock()
    vitals = Vitals(clock)
    clock.now += 1000
    row = vitals.read()
    assert 0 <= row["cpu_user"] < 0.5
    assert row["files"] >= 3
    assert "cpu_user" not in vitals.read(), "no time has passed"
