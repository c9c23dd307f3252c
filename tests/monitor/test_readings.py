"""Readings of a process that is made up, of one that is real, and of what its control group allows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from autoperf.monitor.cgroup import Limits
from autoperf.monitor.readings import Budgeted, Readings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Process:
    """What psutil would give, by hand."""

    def __init__(self) -> None:
        self.cpu, self.system, self.rss, self.switches = 1.0, 0.5, 1000, 0
        self.family: list[Any] = []

    def oneshot(self) -> Any:
        return open("/dev/null")

    def cpu_times(self) -> Any:
        return SimpleNamespace(user=self.cpu, system=self.system)

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=self.rss)

    def memory_full_info(self) -> Any:
        raise psutil.AccessDenied(1)

    def num_threads(self) -> int:
        return 7

    def num_fds(self) -> int:
        return 11

    def num_ctx_switches(self) -> Any:
        return SimpleNamespace(voluntary=self.switches, involuntary=0)

    def children(self, recursive: bool) -> list[Any]:
        assert recursive
        return self.family


def child(name: str, rss: int, status: str = "sleeping") -> Any:
    return SimpleNamespace(
        status=lambda: status, name=lambda: name, memory_info=lambda: SimpleNamespace(rss=rss)
    )


@pytest.fixture
def no_limits(tmp_path: Path) -> Limits:
    return Limits(tmp_path / "none", tmp_path / "none", pressure=tmp_path / "none")


def test_the_second_sample_equals_the_truth_and_so_does_the_third(tmp_path: Path, no_limits: Limits) -> None:
    clock, process = Clock(), Process()
    readings = Readings(tmp_path, process, clock, no_limits)
    first = readings.read()
    assert "cpu" not in first
    assert (first["memory"], first["threads"], first["files"]) == (1000, 7, 11)
    for burnt, switched, passed in ((2.5, 50, 5.0), (0.4, 7, 2.0)):
        clock.now += passed
        process.cpu += 0.75 * burnt
        process.system += 0.25 * burnt
        process.switches += switched
        process.rss += 24
        found = readings.read()
        assert found["cpu"] == pytest.approx(burnt / passed)
        assert found["switches_voluntary"] == pytest.approx(switched / passed)
        assert found["switches_involuntary"] == 0
        assert found["memory"] == process.rss


def test_what_the_system_does_not_tell_is_left_out(tmp_path: Path, no_limits: Limits) -> None:
    found = Readings(tmp_path, Process(), Clock(), no_limits).read()
    assert "unique" not in found
    assert "memory_limit" not in found


def test_children_are_counted_by_program_zombies_apart(tmp_path: Path, no_limits: Limits) -> None:
    process = Process()
    gone = SimpleNamespace(status=lambda: (_ for _ in ()).throw(psutil.NoSuchProcess(5)))
    process.family = [child("chrome", 5), child("chrome", 6), child("sh", 1), child("x", 0, "zombie"), gone]
    found = Readings(tmp_path, process, Clock(), no_limits).read()
    assert found["children"] == {"chrome": [2, 11], "sh": [1, 1], "(zombie)": [1, 0]}


def test_of_many_programs_those_that_hold_most_are_named(tmp_path: Path, no_limits: Limits) -> None:
    process = Process()
    process.family = [child(f"program {n}", n) for n in range(30)]
    found = Readings(tmp_path, process, Clock(), no_limits).read()["children"]
    assert list(found) == [f"program {n}" for n in range(29, 9, -1)]


def test_memory_of_its_own_and_collections(
    tmp_path: Path, no_limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, process = Clock(), Process()
    monkeypatch.setattr(process, "memory_full_info", lambda: SimpleNamespace(rss=1000, uss=600))
    collected = [100, 10, 1]
    monkeypatch.setattr(
        "autoperf.monitor.readings.gc.get_stats", lambda: [{"collections": n} for n in collected]
    )
    readings = Readings(tmp_path, process, clock, no_limits)
    assert readings.read()["unique"] == 600
    clock.now += 1000.0  # whatever it has cost
    collected[:] = [1100, 60, 5]
    found = readings.read()
    assert (found["collections"], found["full_collections"]) == (pytest.approx(1.054), pytest.approx(0.004))


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent(
    tmp_path: Path, no_limits: Limits
) -> None:
    clock = Clock()
    readings = Readings(tmp_path / "a" / "b", Process(), clock, no_limits)
    found = readings.read()
    assert found["disk_used"] == 0
    assert found["disk_free"] > 0
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "autoperf.db").write_bytes(b"x" * 1234)
    clock.now += 3600
    assert readings.read()["disk_used"] == 1234


def test_what_is_dear_is_read_seldom_and_what_is_cheap_each_time() -> None:
    clock, cost, reads = Clock(), 0.00499, []
    spent = iter(range(1000))
    dear = Budgeted(lambda: reads.append(clock.now) or {"x": 1}, clock, lambda: next(spent) * cost)
    for _ in range(120):
        dear.read()
        clock.now += 5
    # 5 ms are 0.01 % of 50 s: every tenth time.
    assert reads == [100.0 + 50 * number for number in range(12)]
    free = Budgeted(lambda: {"x": 1}, clock, lambda: 0.0)
    assert all(free.read() for _ in range(10))


def test_who_asks_for_samples_more_often_gets_them_whole(tmp_path: Path, no_limits: Limits) -> None:
    clock = Clock()
    readings = Readings(tmp_path, Process(), clock, no_limits)
    costs = {"_usage": 0.0004, "_disk": 0.005}  # seconds: 4 and, at half the share, 100 s apart
    for part in readings._parts:
        part._cpu_clock = count(0.0, costs.get(part._read.__name__, 0.0)).__next__

    def seen(interval: float, times: int) -> dict[str, int]:
        rows = []
        for _ in range(times):
            rows.append(readings.read(interval))
            clock.now += interval
        return {key: sum(key in row for row in rows) for key in ("memory", "disk_free")}

    assert seen(5.0, 40) == {"memory": 40, "disk_free": 2}
    assert seen(0.5, 40) == {"memory": 40, "disk_free": 2}
    assert seen(60.0, 4) == {"memory": 3, "disk_free": 1}, "the first came half a second after the last"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
def test_a_real_process_and_its_leftover_child(tmp_path: Path) -> None:
    readings = Readings(tmp_path)
    readings.read()
    left = subprocess.Popen(["sleep", "60"])
    try:
        until = time.process_time() + 0.2
        begun = time.monotonic()
        while time.process_time() < until:
            sum(range(1000))
        assert Readings(tmp_path).read()["children"]["sleep"][0] == 1
        readings._parts[0]._cost = 0.0
        found = readings.read()
        assert found["cpu"] == pytest.approx(0.2 / (time.monotonic() - begun), rel=0.5)
        assert found["memory"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    finally:
        left.kill()
        left.wait()
    assert "sleep" not in Readings(tmp_path).read()["children"]


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_version_2_limits(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("0::/docker/abc\n")
    group(
        tmp_path / "fs" / "docker" / "abc",
        memory__max="2147483648",
        memory__current="1000",
        cpu__max="150000 100000",
    )
    limits = Limits(tmp_path / "fs", tmp_path / "self", pressure=tmp_path / "none")
    assert limits.read() == {"memory_limit": 2147483648, "memory_of_limit": 1000, "cpu_limit": 1.5}
    group(tmp_path / "fs" / "docker" / "abc", memory__max="max", cpu__max="max 100000")
    assert limits.read() == {}


def test_in_a_container_the_group_lies_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("0::/../../what/ever\n")
    group(tmp_path / "fs", memory__max="500", memory__current="10", cpu__max="max 100000")
    assert Limits(tmp_path / "fs", tmp_path / "self", pressure=tmp_path / "none").read() == {
        "memory_limit": 500,
        "memory_of_limit": 10,
    }


def test_version_1_limits(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("5:memory:/m\n4:cpu,cpuacct:/c\n1:name=systemd:/x\n")
    group(tmp_path / "fs/memory/m", memory__limit_in_bytes="4096", memory__usage_in_bytes="96")
    group(tmp_path / "fs/cpu/c", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    limits = Limits(tmp_path / "fs", tmp_path / "self", pressure=tmp_path / "none")
    assert limits.read() == {"memory_limit": 4096, "memory_of_limit": 96, "cpu_limit": 0.5}
    group(tmp_path / "fs/memory/m", memory__limit_in_bytes="9223372036854771712")
    group(tmp_path / "fs/cpu/c", cpu__cfs_quota_us="-1")
    assert limits.read() == {}


def test_what_waits_for_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "io"
    nothing = {"files": tmp_path / "none", "membership": tmp_path / "none"}
    assert Limits(**nothing, pressure=file).read() == {}
    file.write_text(
        "some avg10=1.00 avg60=2.00 avg300=12.50 total=9\nfull avg10=0.00 avg60=0.00 avg300=99.00 total=1\n"
    )
    limits = Limits(**nothing, pressure=file)
    assert limits.read() == {"io_waiting": 0.125}
    file.write_text("some avg10=1.00 avg60=2.00 avg300=0.00 total=9\n")
    assert limits.read() == {"io_waiting": 0.0}
    file.write_text("full avg300=99.00\nsome avg300=x\n")
    assert limits.read() == {}


def test_a_file_that_goes_meanwhile_is_passed_over(
    tmp_path: Path, no_limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "autoperf.db").write_bytes(b"x" * 1234)
    (tmp_path / "autoperf.db-wal").write_bytes(b"x")
    scan = os.scandir

    @contextmanager
    def vanishing(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(folder) as entries:
            found = list(entries)
        (tmp_path / "autoperf.db-wal").unlink()
        yield iter(found)

    monkeypatch.setattr("autoperf.monitor.readings.os.scandir", vanishing)
    assert Readings(tmp_path, Process(), Clock(), no_limits).read()["disk_used"] == 1234
