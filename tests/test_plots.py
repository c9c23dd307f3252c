"""The pictures of a report: what is drawn, where a line breaks, and what strangers' names become."""

from __future__ import annotations

import re
from typing import Any

import pytest

from autoperf.insight.plots import COLUMNS, DOTS, curve, decades, hit_rates, numbers, spread
from autoperf.insight.reports import Report
from autoperf.page import plots
from tests.trace_rows import T0, Trace

S0 = T0 / 1e9


def report(samples: list[dict[str, Any]], stalls: list[dict[str, Any]] | None = None) -> Report:
    made = Report("here", S0, "0")
    made.samples, made.stalls = samples, stalls or []
    return made


def test_a_line_breaks_where_nothing_was_sampled_and_where_another_process_began() -> None:
    times = [*range(0, 100, 5), *range(300, 400, 5)]
    found = curve([(1, float(at), 1.0) for at in times])
    assert found is not None
    assert [len(line) for line in found.lines] == [20, 20]
    both = curve([(pid, float(at), pid) for at in range(0, 100, 5) for pid in (1, 2)])
    assert both is not None
    assert [{value for _, value in line} for line in both.lines] == [{1}, {2}]


def test_a_month_is_no_more_points_than_a_picture_has_columns_and_keeps_its_peaks() -> None:
    values = [(1, 60.0 * minute, 5.0 if minute == 20_001 else 1.0) for minute in range(40_000)]
    found = curve(values)
    assert found is not None
    assert sum(map(len, found.lines)) <= COLUMNS + 1
    assert max(value for line in found.lines for _, value in line) == 5.0
    assert (found.count, found.median, found.highest) == (40_000, 1.0, 5.0)


def test_the_numbers_of_samples() -> None:
    samples = [
        {"at": 1.0, "pid": 1, "lag": {"a": 0.1, "b": 0.3}, "hits": 1, "lookups": 4},
        {"at": 2.0, "pid": 1, "lag": {}, "hits": 0, "lookups": 0},
        {"at": 3.0, "pid": 1},
    ]
    assert numbers(samples, "lag") == [(1, 1.0, 0.3)]
    assert numbers(samples, "cpu") == []
    assert hit_rates(samples) == [(1, 1.0, 0.25)]
    assert curve([]) is None


def test_one_sample_is_a_dot() -> None:
    page = plots.process(report([{"at": S0, "pid": 1, "cpu": 0.5}]))
    (path,) = re.findall(r'class="curve" d="([^"]+)"', page)
    assert path == "M500.0 0.0L500.0 0.0"
    assert "Memory" not in page
    assert plots.process(report([])) == ""


def test_stalls_are_marked_on_the_lag_with_what_stalled() -> None:
    samples = [{"at": S0 + at, "pid": 1, "cpu": 0.1, "lag": {"loop": 0.1}} for at in range(0, 100, 5)]
    stall = {"at": S0 + 50, "seconds": 2.0, "stack": ["a.py:1 run", "b.py:2 <block>"], "tool": "x"}
    outside = stall | {"at": S0 + 500}
    page = plots.process(report(samples, [stall, outside]))
    cpu, lag = page.split("<figure")[1:3]
    assert 'class="stall"' not in cpu
    (mark,) = re.findall(r'<path class="stall" d="([^"]+)"><title>([^<]+)</title>', lag)
    x, top = re.findall(r"M([\d.]+) 100.0V([\d.]+)", mark[0])[0]
    assert float(x) == pytest.approx(1000 * 50 / 95, abs=0.1)
    assert float(top) == 0  # the stall is the highest thing there is
    assert mark[1] == "2.0 s in b.py:2 &lt;block&gt;, tool x"


def test_every_call_of_a_tool_is_a_dot_on_a_logarithmic_axis() -> None:
    made = report([])
    trace = Trace(1)
    trace.span("user_message", 0, 5000)
    for taken in (1, 10, 1000):
        trace.span("execute_tool <b>bold</b>", 0, taken, trace.rows[0].span_id)
    from autoperf.insight.tree import build

    made.timings.add(build(trace.rows).spans())
    page = plots.distributions(made)
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)%"', page)]
    assert places == pytest.approx([0, 100 / 3, 100], abs=0.01)
    assert "3 calls" in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    assert plots.distributions(report([])) == ""


def test_of_many_calls_quantiles_stand_for_all() -> None:
    found = spread("x", [float(n) for n in range(1, 10_001)])
    assert found is not None
    assert (len(found.dots), found.dots[0], found.dots[-1], found.count) == (DOTS, 1.0, 10_000.0, 10_000)
    assert found.median == 5000.0
    assert decades([found]) == (0, 4)
    alike = spread("y", [0.0, 0.0])
    assert alike is not None
    assert decades([alike]) == (-3, -2)
