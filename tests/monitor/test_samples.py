"""What the monitor took, in the store: found again, thinned with age, bounded, and older files understood."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from autoperf.monitor import samples
from autoperf.monitor.samples import DAY_S, MINUTE_S, MONTH_S, Archive
from autoperf.monitor.stalls import Stall
from autoperf.telemetry.store import tables
from autoperf.telemetry.store.store import Store

NOW = 10_000 * DAY_S


def sample(at: float, cpu: float = 0.5, **more: Any) -> dict[str, Any]:
    return {"at": at, "cpu": cpu, "memory": 100, **more}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


def test_found_again_in_order_and_by_time(store: Store) -> None:
    kept = Archive(store, lambda: NOW)
    assert kept.keep(
        [sample(NOW - 5), sample(NOW - 10, lag={"A": 0.1})], [Stall(NOW - 7, 0.4, "A", ("x:1 f",))]
    )
    assert [row["at"] for row in samples.samples(store, NOW - 60)] == [NOW - 10, NOW - 5]
    assert [row["at"] for row in samples.samples(store, NOW - 60, NOW - 5)] == [NOW - 10]
    (stall,) = samples.stalls(store, NOW - 60)
    assert (stall["seconds"], stall["stack"], stall["loop"]) == (0.4, ["x:1 f"], "A")
    assert samples.stalls(store, NOW) == []


def test_a_minute_has_as_many_hits_as_its_samples_together(store: Store) -> None:
    clock = [NOW]
    kept = Archive(store, lambda: clock[0])
    begin = NOW // MINUTE_S * MINUTE_S
    counted: list[dict[str, int]] = [{"hits": 3, "lookups": 4}, {}, {"hits": 90, "lookups": 100}]
    kept.keep([sample(begin + 5 * at, **more) for at, more in enumerate(counted)], [])
    clock[0] = begin + DAY_S + 3 * MINUTE_S
    kept.keep([], [])
    (row,) = samples.samples(store, 0)
    assert (row["hits"], row["lookups"], row["cpu"]) == (93, 104, 0.5)
    kept.keep([], [])
    assert samples.samples(store, 0) == [row]


def test_a_day_later_a_minute_is_one_row_with_its_means_and_its_worst(store: Store) -> None:
    clock = [NOW]
    kept = Archive(store, lambda: clock[0])
    begin = NOW // MINUTE_S * MINUTE_S
    rows = [
        sample(begin + 5 * number, cpu=number, lag={"A": lag}, children={"sh": [int(10 * lag), 7]})
        for number in range(24)
        for lag in [0.1 * (number + 1) if number % 12 == 4 else 0.1]
    ]
    kept.keep(rows, [])
    assert len(samples.samples(store, 0)) == 24
    clock[0] = begin + DAY_S + 3 * MINUTE_S
    kept.keep([], [])
    found = samples.samples(store, 0)
    assert [(row["at"], row["span"]) for row in found] == [(begin, 60), (begin + 60, 60)]
    assert [row["cpu"] for row in found] == [sum(range(12)) / 12, sum(range(12, 24)) / 12]
    assert [row["lag"] for row in found] == [{"A": 0.5}, {"A": 1.7000000000000002}]
    assert [row["children"] for row in found] == [{"sh": [5, 7]}, {"sh": [17, 7]}]
    assert all(row["memory"] == 100 for row in found)
    clock[0] += DAY_S
    kept.keep([], [])
    assert samples.samples(store, 0) == found, "means are not taken of means"
    clock[0] += MONTH_S
    kept.keep([], [])
    assert samples.samples(store, 0) == []


def test_a_minute_that_is_not_over_stays_whole(store: Store) -> None:
    clock = [NOW]
    kept = Archive(store, lambda: clock[0])
    begin = NOW // MINUTE_S * MINUTE_S
    kept.keep([sample(begin + 5 * number) for number in range(12)], [])
    clock[0] = begin + DAY_S + 30
    kept.keep([], [])
    assert len(samples.samples(store, 0)) == 12


def test_processes_are_not_mixed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = NOW // MINUTE_S * MINUTE_S
    for pid, cpu in ((1, 0.0), (2, 1.0)):
        monkeypatch.setattr(samples.os, "getpid", lambda pid=pid: pid)
        Archive(store, lambda: NOW).keep([sample(begin, cpu), sample(begin + 5, cpu)], [])
    Archive(store, lambda: NOW + 2 * DAY_S).keep([], [])
    assert [(row["pid"], row["cpu"]) for row in samples.samples(store, 0)] == [(1, 0.0), (2, 1.0)]


def test_bounded_the_oldest_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "ROWS_KEPT", 10)
    clock = [NOW]
    kept = Archive(store, lambda: clock[0])
    kept.keep([sample(NOW + number) for number in range(30)], [])
    clock[0] = NOW + 700
    kept.keep([], [])
    assert [row["at"] - NOW for row in samples.samples(store, 0)] == list(range(20, 30))


def test_a_store_of_before_is_read_as_one_without_samples_and_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "autoperf.db") as connection:
        connection.execute("CREATE TABLE spans(x)")
        connection.execute("PRAGMA user_version = 1")
    store = Store.open(tmp_path)
    assert samples.samples(store, 0) == []
    assert Archive(store, lambda: NOW).keep([sample(NOW)], [])
    assert len(samples.samples(store, 0)) == 1


def test_without_a_store_there_is_nothing(tmp_path: Path) -> None:
    assert samples.samples(Store.open(tmp_path), 0) == []
    assert not (tmp_path / "autoperf.db").exists()


def test_a_full_store_gives_up_samples_too(tmp_path: Path) -> None:
    store = Store.open(tmp_path, max_bytes=1 << 20)
    kept = Archive(store, lambda: NOW)
    for number in range(200):
        kept.keep([sample(NOW + number + part / 100, text="x" * 200) for part in range(50)], [])
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size <= 1 << 20
    left = samples.samples(store, 0)
    assert 0 < len(left) < 10_000
    assert left[-1]["at"] == NOW + 199.49, "the newest stay"
    with sqlite3.connect(store.path) as connection:
        assert json.loads(connection.execute("SELECT sample FROM samples LIMIT 1").fetchone()[0])["text"]
        assert tables.schema_of(connection) == tables.SCHEMA_VERSION
