"""Series: exact count, total and maximum; percentiles that were really measured."""

from __future__ import annotations

from autoperf.memo.series import Series


def test_percentiles_are_values_that_were_measured():
    series = Series()
    for value in range(1, 101):
        series.add(value / 1000)
    row = series.as_row()
    assert (row["p50_ms"], row["p95_ms"], row["max_ms"]) == (50.0, 95.0, 100.0)


def test_nothing_measured_is_said_so():
    assert Series().as_row() == {"count": 0, "p50_ms": None, "p95_ms": None, "max_ms": None, "total_ms": 0.0}


def test_only_the_latest_are_kept_but_all_are_counted():
    series = Series(kept=3)
    for value in (9.0, 1.0, 2.0, 3.0):
        series.add(value)
    assert series.count == 4
    assert series.total == 15.0
    assert series.maximum == 9.0
    row = series.as_row()
    assert (row["p50_ms"], row["p95_ms"], row["max_ms"]) == (2000.0, 3000.0, 9000.0)
