"""Samples as the few points of a picture: nothing bad is lost, nothing is invented between."""

from __future__ import annotations

import random

import pytest

from autoperf.insight.report.charts import (
    COLUMNS,
    DOTS,
    Axis,
    curve,
    decades,
    hit_rates,
    linear,
    logarithmic,
    numbers,
    spread,
)


def test_one_sample_is_a_curve_of_one_point() -> None:
    found = curve([(1, 5.0, 0.25)])
    assert found is not None
    assert found.lines == [[(5.0, 0.25)]]
    assert (found.count, found.median, found.most, found.worst) == (1, 0.25, 0.25, 0.25)
    assert curve([]) is None


def test_a_month_is_no_more_points_than_columns_and_keeps_its_peak() -> None:
    dice = random.Random(1)
    rows = [(1, 60.0 * minute, dice.random()) for minute in range(43_200)]
    rows[20_000] = (1, 60.0 * 20_000, 9.0)
    found = curve(rows)
    assert found is not None
    (line,) = found.lines
    assert COLUMNS <= len(line) <= COLUMNS + 1
    assert max(value for _, value in line) == 9.0 == found.worst
    assert found.most == pytest.approx(0.95, abs=0.01)


def test_of_hits_the_lowest_is_kept() -> None:
    rows = [(1, 5.0 * number, 0.99) for number in range(10_000)]
    rows[5000] = (1, 25_000.0, 0.1)
    found = curve(rows, low=True)
    assert found is not None
    assert min(value for line in found.lines for _, value in line) == 0.1
    assert (found.worst, found.most, found.median, found.low) == (0.1, 0.99, 0.99, True)
    rows[:2000] = [(1, at, 0.5) for _, at, _ in rows[:2000]]
    assert curve(rows, low=True).most == 0.5  # type: ignore[union-attr]


def test_a_line_ends_where_nothing_was_sampled_and_where_another_process_began() -> None:
    at = [*range(0, 50, 5), *range(500, 550, 5)]
    found = curve(
        [(1, float(one), 1.0) for one in at] + [(2, float(one) + 2, 2.0) for one in range(0, 50, 5)]
    )
    assert found is not None
    assert [(line[0][0], line[-1][0], {value for _, value in line}) for line in found.lines] == [
        (0.0, 45.0, {1.0}),
        (500.0, 545.0, {1.0}),
        (2.0, 47.0, {2.0}),
    ]


def test_what_a_sample_does_not_have_is_passed_over() -> None:
    rows = [
        {"at": 1.0, "pid": 7, "cpu": 0.5, "lag": {"A": 0.1, "B": 0.3}, "hits": 3, "lookups": 4},
        {"at": 2.0, "pid": 7, "cpu": None, "lag": {}, "hits": 0, "lookups": 0},
        {"at": 3.0, "pid": 7, "lookups": 4},
        {"at": 4.0, "pid": 7, "hits": 0, "lookups": 5, "cpu": "much"},
    ]
    assert numbers(rows, "cpu") == [(7, 1.0, 0.5)]
    assert numbers(rows, "lag") == [(7, 1.0, 0.3)]
    assert hit_rates(rows) == [(7, 1.0, 0.75), (7, 4.0, 0.0)]


@pytest.mark.parametrize(
    ("highest", "top"), [(0.61, 0.8), (1.0, 1.0), (1.01, 2.0), (0.0003, 0.0004), (7, 8), (9.5, 10), (0, 1)]
)
def test_a_linear_axis_ends_at_a_round_number(highest: float, top: float) -> None:
    axis = linear(highest)
    assert (axis.bottom, axis.top) == (0, pytest.approx(top))
    assert axis.rules == (pytest.approx(top / 2),)
    assert axis.share(highest) <= 1
    assert axis.share(axis.rules[0]) == 0.5


def test_memory_is_round_in_its_own_unit() -> None:
    assert linear(300 * 2**20, 2.0**20).top == 400 * 2**20


def test_a_logarithmic_axis_holds_everything() -> None:
    axis = logarithmic(4.2, 0.001)
    assert (axis.bottom, axis.top) == (0.001, pytest.approx(10))
    assert axis.rules == tuple(map(pytest.approx, (0.01, 0.1, 1.0)))
    assert [axis.share(value) for value in (0, 0.001, 0.1, 10, 99)] == [0, 0, pytest.approx(0.5), 1, 1]
    assert logarithmic(0, 0.001).top == pytest.approx(0.01)
    assert logarithmic(1.0, 0.001).top == pytest.approx(1.0)
    assert Axis(0.0, 1.0, ()).share(0.25) == 0.25


def test_many_calls_are_so_many_quantiles_with_both_ends() -> None:
    few = spread("a", [3.0, 1.0, 2.0])
    assert few is not None
    assert (few.dots, few.count, few.median) == ([1.0, 2.0, 3.0], 3, 2.0)
    many = spread("b", map(float, range(1, 10_001)))
    assert many is not None
    assert (len(many.dots), many.dots[0], many.dots[-1], many.count) == (DOTS, 1, 10_000, 10_000)
    assert spread("c", []) is None
    assert decades([few, many]) == (0, 4)
    assert decades([spread("z", [0.0])]) == (-3, -2)  # type: ignore[list-item]
