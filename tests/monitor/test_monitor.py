"""The thread of the monitor: it begins, ends, begins again, and survives a fork and a failure."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.instrumentation.agentzero.activity.stack_owner import whereabouts
from autoperf.monitor import Monitor, Readings, Stall, Stalls


class Counting(Readings):
    """Readings that only count; the first one fails where it is told to."""

    def __init__(self, failing: bool = False) -> None:
        self.count = 0
        self.failing = failing

    def read(self, interval: float = 5.0) -> dict[str, Any]:
        self.count += 1
        if self.failing and self.count == 1:
            raise OSError("not now")
        return {"cpu": self.count}


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "autoperf-monitor"]


def make(tmp_path: Path, interval: float = 0.01, failing: bool = False) -> Monitor:
    return Monitor(lambda: Counting(failing), lambda: Stalls(str(tmp_path)), interval)


def test_samples_come_until_it_is_stopped_and_again_when_it_is_started(tmp_path: Path) -> None:
    monitor = make(tmp_path)
    for _ in range(2):
        monitor.start()
        monitor.start()
        assert len(threads()) == 1
        assert threads()[0].daemon
        wait_for(lambda: monitor.latest.get("cpu", 0) >= 2)
        monitor.stop()
        assert (monitor.running, threads()) == (False, [])
        samples, stalls = monitor.take()
        assert [row["cpu"] for row in samples] == list(range(1, len(samples) + 1))
        assert all(abs(row["at"] - time.time()) < 20 for row in samples)
        assert stalls == []
        assert monitor.take() == ([], [])
        monitor.latest = {}


def test_a_shorter_interval_acts_at_once(tmp_path: Path) -> None:
    monitor = make(tmp_path, interval=3600)
    monitor.start()
    wait_for(lambda: monitor.latest)
    monitor.start(interval=0.01)
    assert monitor.interval == 0.01
    wait_for(lambda: monitor.latest["cpu"] >= 3)
    monitor.stop()


class Watched:
    """Stalls as told; counts how often they are looked for."""

    def __init__(self) -> None:
        self.looks = 0
        self.late: list[float | None] = []
        self.released = False
        self.ended: list[Stall] = []
        self.lasting: list[Stall] = []

    def watch(self, late: float | None = None) -> list[Stall]:
        self.looks += 1
        self.late.append(late)
        ended, self.ended = self.ended, []
        return ended

    def discover(self) -> None:
        """There are no loops."""

    def lags(self) -> dict[str, float]:
        return {"AgentContext": 0.1}

    def release(self) -> None:
        self.released = True

    def looked_at_again(self) -> None:
        seen = self.looks
        wait_for(lambda: self.looks >= seen + 2)


def test_between_two_samples_it_only_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoperf.monitor.monitor._WATCH_S", 0.001)
    readings, stalls = Counting(), Watched()
    monitor = Monitor(lambda: readings, lambda: stalls, interval=3600)  # type: ignore[arg-type, return-value]
    monitor.start()
    wait_for(lambda: stalls.looks >= 50)
    monitor.stop()
    assert readings.count == 1
    assert stalls.released


def test_how_late_its_thread_is_is_told_and_at_rest_that_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("autoperf.monitor.monitor.time.monotonic", lambda: now[0])
    stalls = Watched()
    monitor = Monitor(Counting, lambda: stalls, interval=3600)  # type: ignore[arg-type, return-value]
    waits = [0.15, 0.95]

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if waits:
                now[0] += waits.pop(0)
            else:
                self.set()
            return self.is_set()

    monitor._run(Stopping())
    assert stalls.late == [pytest.approx(0.0, abs=1e-9), pytest.approx(0.8)]
    monitor._parts = monitor._make_readings(), monitor._make_stalls()
    monitor.tick()
    assert stalls.late[2:] == [None]


def test_what_is_read_seldom_stays_in_the_latest_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoperf.monitor.monitor._WATCH_S", 0.001)
    rows = iter([{"cpu": 1, "unique": 5}, *({"cpu": n} for n in range(2, 10_000))])
    readings = Counting()
    monkeypatch.setattr(readings, "read", lambda interval: next(rows))
    monitor = Monitor(lambda: readings, Watched, interval=0.001)  # type: ignore[arg-type]
    monitor.start()
    wait_for(lambda: monitor.latest.get("cpu", 0) >= 2)
    monitor.stop()
    assert monitor.latest["unique"] == 5
    assert ["unique" in row for row in monitor.take()[0][:2]] == [True, False]


def test_stalls_are_counted_kept_handed_on_and_told_while_they_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoperf.monitor.monitor._WATCH_S", 0.001)
    stalls = Watched()
    monitor = Monitor(Counting, lambda: stalls, interval=3600)  # type: ignore[arg-type, return-value]
    monitor.start()
    wait_for(lambda: monitor.latest)
    pulses = [monitor.pulse]
    stall = Stall(1000.04, 0.3, "AgentContext", ("agent.py:1 f",), "", "chat7", "slow")
    for now in ([stall], [stall._replace(at=1000.03, seconds=0.5)], []):
        stalls.lasting = now
        stalls.looked_at_again()
        lasting = monitor.as_row()["lasting"]
        assert [(row["at"], row["chat"], row["tool"]) for row in lasting] == [
            (1000.0, "chat7", "slow")
        ] * len(now)
        pulses.append(monitor.pulse)
    # It began, it went on as before, it ended: a record is written anew for two of these.
    assert [after - before for before, after in itertools.pairwise(pulses)] == [1, 0, 1]
    stalls.ended, stalls.lasting = [stall, stall], [stall]
    stalls.looked_at_again()
    monitor.stop()
    assert monitor.as_row()["stalls"] == 2
    assert monitor.as_row()["last_stall"]["seconds"] == 0.3
    assert monitor.as_row()["lasting"] == []
    assert monitor.take()[1] == [stall, stall]
    assert list(monitor.recent_stalls) == [stall, stall]


def test_a_sample_is_a_reason_to_write_the_record_anew(tmp_path: Path) -> None:
    monitor = make(tmp_path)
    monitor.start()
    wait_for(lambda: monitor.latest.get("cpu", 0) >= 2)
    monitor.stop()
    assert monitor.pulse == monitor.latest["cpu"]


def test_where_no_thread_can_be_started_there_is_no_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", late)
    monitor = make(tmp_path)
    monitor.start()
    assert not monitor.running
    monitor.stop()


def test_one_reading_that_fails_is_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    monitor = make(tmp_path, failing=True)
    monitor.start()
    wait_for(lambda: monitor.latest.get("cpu", 0) >= 2)
    monitor.stop()
    assert any(row["seam"] == "monitor" for row in failures.as_rows())


def test_a_real_blocked_loop_comes_out_with_its_stack_its_chat_and_its_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr("autoperf.monitor.stalls._LONG_LIVED_S", 0.0)
    monkeypatch.setattr("autoperf.monitor.monitor._DISCOVER_S", 0.0)
    code = compile(
        """
class Context: pass
class Tool:
    async def execute(self):
        time.sleep(0.6)
class Agent:
    async def monologue(self):
        await self.tool.execute()
""",
        str(tmp_path / "agent.py"),
        "exec",
    )
    names: dict[str, Any] = {"time": time}
    exec(code, names)
    agent, tool = names["Agent"](), names["Tool"]()
    agent.context, agent.tool = names["Context"](), tool
    agent.context.id, tool.agent, tool.name = "chat7", agent, "slow"
    monitor = Monitor(lambda: Readings(tmp_path), lambda: Stalls(str(tmp_path), whereabouts), 0.2)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="AgentContext", daemon=True)
    thread.start()
    monitor.start()
    try:
        wait_for(lambda: "AgentContext" in monitor.latest.get("lag", {}))
        asyncio.run_coroutine_threadsafe(agent.monologue(), loop).result(10)
        wait_for(lambda: monitor.recent_stalls)
    finally:
        monitor.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
    stall = monitor.recent_stalls[0]
    assert isinstance(stall, Stall)
    assert (stall.chat, stall.tool, stall.loop) == ("chat7", "slow", "AgentContext")
    assert [line.split(" ")[1] for line in stall.stack] == ["monologue", "execute"]
    assert stall.seconds == pytest.approx(0.6, abs=0.25)
    assert monitor.as_row()["last_stall"]["tool"] == "slow"
    assert monitor.take()[1] == [stall]


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="no fork")
def test_a_forked_child_has_no_monitor_until_it_starts_one(tmp_path: Path) -> None:
    monitor = make(tmp_path)
    monitor.start()
    wait_for(lambda: monitor.latest)
    stall = Stall(1.0, 0.5, "AgentContext")
    monitor.recent_stalls.append(stall)
    monitor._to_store.append(stall)
    monitor.lasting, monitor.stalls = [stall], 1
    monitor._changing.acquire()  # as by a thread that is not there in the child
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        monitor.forked()
        row = monitor.as_row()
        told = [monitor.running, monitor.latest == {}, monitor.take() == ([], [])]
        told += [row["stalls"], row["last_stall"], row["lasting"]]
        monitor.start()
        deadline = time.monotonic() + 10
        while not monitor.latest and time.monotonic() < deadline:
            time.sleep(0.02)
        os.write(write, repr([*told, bool(monitor.latest)]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "[False, True, True, 0, None, [], True]"
    monitor._changing.release()
    os.waitpid(pid, 0)
    assert monitor.running
    monitor.stop()
