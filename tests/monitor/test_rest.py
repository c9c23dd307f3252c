"""While nothing is under way the monitor's thread sleeps, and what falls due is done on another one."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.monitor import Stall
from tests.monitor.test_monitor import make, wait_for


def test_while_nothing_is_under_way_its_thread_sleeps_and_a_tick_does_what_is_due(tmp_path: Path) -> None:
    begun = [1]
    monitor = make(tmp_path, 1.0)
    monitor.at_rest = lambda: not begun
    looks: list[str] = []
    look = monitor._look

    def counted(*args: float, **late: float) -> None:
        looks.append(threading.current_thread().name)
        look(*args, **late)

    monitor._look = counted
    monitor.start()
    try:
        wait_for(lambda: len(looks) > 3)
        monitor.tick()
        assert "MainThread" not in looks, "the thread is awake"
        begun.clear()
        wait_for(lambda: not monitor._awake.is_set())
        before = len(looks)
        assert monitor._parts is not None
        monitor._next_sample = 0.0
        monitor.latest = {}
        monitor.tick()
        assert looks[before:] == ["MainThread"]
        assert monitor.latest, "a sample was due"
        begun.append(1)
        monitor.wake()
        wait_for(lambda: looks[-1] == "autoperf-monitor")
    finally:
        monitor.stop()
    assert not monitor.running


def test_a_stall_that_lasts_at_a_tick_wakes_the_thread(tmp_path: Path) -> None:
    monitor = make(tmp_path, 1.0)
    monitor.at_rest = lambda: True
    monitor.start()
    try:
        wait_for(lambda: not monitor._awake.is_set() and monitor._parts is not None)
        stalls = monitor._parts[1]
        stalls.watch = lambda late: []
        monitor.tick()
        assert not monitor._awake.is_set()
        stalls.lasting = [Stall(1.0, 0.5, "AgentContext")]
        monitor.tick()
        wait_for(monitor._awake.is_set)
    finally:
        monitor.stop()


@pytest.mark.parametrize("resting", [True, False])
def test_it_stops_at_once_asleep_or_awake(tmp_path: Path, resting: bool) -> None:
    monitor = make(tmp_path, 1.0)
    monitor.at_rest = lambda: resting
    monitor.start()
    wait_for(lambda: monitor._parts is not None and monitor._awake.is_set() is not resting)
    monitor.stop()
    assert monitor._parts is None
    assert not [t for t in threading.enumerate() if t.name == "autoperf-monitor"]


def test_at_rest_samples_are_taken_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("autoperf.monitor.monitor.time.monotonic", lambda: now[0])
    monitor = make(tmp_path, 1.0)
    monitor.interval = 5.0
    monitor._parts = monitor._make_readings(), monitor._make_stalls()
    monitor._next_sample = now[0]
    for _ in range(180):
        now[0] += 1.0
        monitor.tick()
    assert len(monitor.take()[0]) == 4
    for _ in range(60):
        now[0] += 1.0
        monitor._look()
    assert len(monitor.take()[0]) == 11


def test_a_shorter_interval_ends_the_rest(tmp_path: Path) -> None:
    monitor = make(tmp_path, 3600.0)
    monitor.at_rest = lambda: True
    monitor.start()
    try:
        wait_for(lambda: monitor._parts is not None and not monitor._awake.is_set())
        monitor.latest = {}
        monitor.start(0.1)
        wait_for(lambda: monitor.latest)
    finally:
        monitor.stop()


def test_whatever_begins_wakes() -> None:
    underway, woken = Probe(None).underway, []
    underway.wakes = lambda: woken.append(underway.at_rest())
    assert underway.at_rest()
    first = underway.begin("message")
    underway.begin("tool")
    assert woken == [False, False]
    underway.end(first)
    assert not underway.at_rest()


def test_what_begins_beside_work_that_a_closed_loop_left_behind_wakes() -> None:
    underway, woken = Probe(None).underway, []

    async def left() -> None:
        underway.begin("message")

    asyncio.run(left())
    assert underway.at_rest()
    underway.wakes = lambda: woken.append(underway.at_rest())
    underway.begin("message")
    assert woken == [False]
