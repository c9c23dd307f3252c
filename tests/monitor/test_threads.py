"""What the system tells of threads, compared with what a thread has just done."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.monitor import threads
from autoperf.monitor.cgroup import Limits
from autoperf.monitor.threads import Usage, cpu_ns, delay, own_usage, ready, snapshot, usage_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")


class Other:
    """A thread that computes and waits when it is told to."""

    def __init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.go, self.done = threading.Event(), threading.Event()
        self.thread.start()

    def _run(self) -> None:
        self.go.wait(20)
        for _ in range(5):
            time.sleep(0.001)
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            sum(range(1000))
        self.done.set()
        self.go.clear()
        self.go.wait(20)


@linux
def test_another_threads_usage_is_what_it_says_itself_no_more() -> None:
    other = Other()
    number = other.thread.native_id or 0
    before, snapped = usage_of(number), snapshot(1.0)
    other.go.set()
    assert other.done.wait(20)
    used = (usage_of(number) or Usage()).since(before)
    assert used.cpu is not None
    assert used.waits is not None
    assert 0.05 <= used.cpu < 5.0
    assert used.waits >= 5
    later, ident = snapshot(2.0), other.thread.ident or 0
    assert later.cpu[ident] - snapped.cpu[ident] == pytest.approx(used.cpu * 1e9, rel=0.2)
    assert later.process - snapped.process >= 0.05
    assert ready(threading.get_native_id())
    other.go.set()
    other.thread.join(20)
    deadline = time.monotonic() + 20
    while cpu_ns(number) is not None:  # the interpreter is done with it before the system is
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (usage_of(number), cpu_ns(number), delay(number), ready(number)) == (None, None, None, False)


@linux
def test_ones_own_usage() -> None:
    before = own_usage()
    for _ in range(5):
        time.sleep(0.001)
    memory = bytearray(1 << 24)
    used = own_usage().since(before)
    assert used.waits is not None
    assert used.waits >= 5
    assert used.faults is not None
    assert used.faults > 0
    assert len(memory)
    assert (delay(threading.get_native_id()) or 0.0) >= 0.0


def test_where_the_system_does_not_tell_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_THREAD", None)
    monkeypatch.setattr(threads, "_LINUX", False)
    monkeypatch.setattr(threads, "_read", lambda native_id, name: b"")
    used = own_usage()
    assert used.cpu is not None
    assert used[1:] == (None, None, None, None)
    number = threading.get_native_id()
    assert (usage_of(number), cpu_ns(number), delay(number), snapshot(1.0).cpu) == (None, None, None, {})


def test_what_was_used_since_knows_no_more_than_both_readings() -> None:
    before = Usage(1.0, 0.5, None, 3, 9)
    assert Usage(1.5, 0.5, 7, 5, 8).since(before) == (0.5, 0.0, None, 2, 0)
    assert Usage(1.5, 0.5, 7, 5, 8).since(None) == Usage()


@pytest.mark.parametrize("version", [1, 2])
def test_what_hypervisor_and_control_group_keep_back(tmp_path: Path, version: int) -> None:
    folder = tmp_path / "fs" / ("cpu" if version == 1 else "")
    folder.mkdir(parents=True)
    told = "nr_throttled 3\nthrottled_time 2500000000\n" if version == 1 else "throttled_usec 2500000\n"
    (folder / "cpu.stat").write_text("nr_periods 9\n" + told)
    (folder / ("cpu.cfs_quota_us" if version == 1 else "memory.current")).write_text("1")
    (tmp_path / "stat").write_text("cpu  9 9 9 9 9 0 9 400 0 0\ncpu0 9 9 9 9 9 0 9 7 0 0\n")
    limits: Any = Limits(tmp_path / "fs", tmp_path / "none", pressure=tmp_path / "none")
    kept = limits.withheld(tmp_path / "stat")
    assert kept == {"stolen": pytest.approx(4.0), "throttled": pytest.approx(2.5)}
    nothing = Limits(tmp_path / "none", tmp_path / "none", pressure=tmp_path / "none")
    assert nothing.withheld(tmp_path / "none") == {}
