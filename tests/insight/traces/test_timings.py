"""Durations by kind, the counters of processes, a trace in one line."""

from __future__ import annotations

import pytest

from autoperf.insight.facts.caches import caches
from autoperf.insight.facts.recorder import observes_only, recorder
from autoperf.insight.traces import timings as statistics
from autoperf.insight.traces.summary import summarise
from autoperf.insight.traces.timings import FIRST_CHUNK, Timings
from autoperf.insight.traces.tree import build
from autoperf.telemetry import names
from tests.trace_rows import T0, Trace, process, turn


def timed(*traces: Trace) -> Timings:
    timings = Timings()
    for trace in traces:
        timings.add(build(trace.rows).spans())
    return timings


def spans(name: str, *milliseconds: float, **given: object) -> Trace:
    trace = Trace(1)
    for one in milliseconds:
        trace.span(name, 0, one, **given)
    return trace


def test_percentiles_are_values_that_were_measured() -> None:
    (row,) = timed(spans("execute_tool search", *range(1, 101))).rows()
    assert (row.kind, row.name, row.count) == ("execute_tool", "search", 100)
    assert (row.p50_ms, row.p95_ms, row.max_ms, row.total_ms) == (50, 95, 100, 5050)


def test_a_tool_goes_by_its_attribute() -> None:
    (row,) = timed(spans("execute_tool s", 1, attributes={names.TOOL_NAME: "search"})).rows()
    assert row.name == "search"


def test_errors_are_counted_and_what_was_stopped_is_not_timed() -> None:
    trace = spans("chat m", 5, status="error")
    trace.span("chat m", 0, 9000, attributes={names.CUT_OFF: True})
    trace.span("chat m", 0, 9000, attributes={names.INTERRUPTED: "CancelledError"})
    (row,) = timed(trace).rows("chat")
    assert (row.count, row.errors, row.max_ms) == (1, 1, 5)


def test_first_chunks_are_timed_beside_the_answers() -> None:
    timings = timed(spans("chat m", 900, attributes={names.TIME_TO_FIRST_CHUNK: 0.25}))
    (row,) = timings.rows(FIRST_CHUNK)
    assert (row.name, row.p50_ms) == ("m", 250)
    assert [one.kind for one in timings.rows("chat")] == ["chat"]


def test_names_without_end_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_KEYS_KEPT", 3)
    trace = Trace(1)
    for number in range(10):
        trace.span(f"execute_tool t{number}", 0, 1)
    rows = {row.name: row.count for row in timed(trace).rows()}
    assert rows == {"t0": 1, "t1": 1, "t2": 1, "(other)": 7}


def test_a_pid_that_was_used_again_is_told_apart_by_time() -> None:
    first = process(7, features=["trace"], started_ms=0)
    second = process(7, features=["tools", "trace"], started_ms=60_000)
    assert recorder([second, first])(7, T0 / 1e9 + 5) is first
    assert recorder([second, first])(7, T0 / 1e9 + 65) is second
    assert recorder([first])(8, T0 / 1e9 + 1) is None
    assert recorder([first])(7, T0 / 1e9 - 60) is None
    assert [observes_only(one) for one in (first, second, None)] == [True, False, False]


def test_counters_add_up_and_sizes_do_not() -> None:
    one, two = (process(pid, features=[]) for pid in (1, 2))
    two["caches"]["tools"]["currsize"] = 99
    tools = caches(one, two)["tools"]
    assert (tools.hits, tools.seconds_saved, tools.currsize, tools.hit_rate) == (380, 1.6, 8, 0.95)
    assert caches({"lookups": None}, {}) == {}
    unmeasured = {"lookups": {"tools": {"lookups": 1000, "hits": None, "misses": None, "hit_rate": None}}}
    assert caches(one, unmeasured)["tools"].hit_rate == 0.95
    alone = caches(unmeasured)["tools"]
    assert (alone.hit_rate, alone.why) == (None, "not measured: the host loads there by itself")


def summary_of(trace: Trace):
    rows = trace.rows
    row = {
        "trace_id": trace.trace_id, "name": rows[0].name, "start_ns": rows[0].start_ns,
        "end_ns": rows[0].end_ns, "spans": len(rows), "errors": 0,
    }  # fmt: skip
    return summarise(row, [(one.name, dict(one.attributes)) for one in rows])


def test_a_trace_in_one_line() -> None:
    one = summary_of(turn(4))
    assert (one.chat, one.agents, one.by_user) == ("chat-1", ("A0", "A1"), True)
    assert one.tools == {
        "search": 2, "code_execution_tool": 1, "call_subordinate": 1, "fetch": 1, "memory_load": 1,
    }  # fmt: skip
    assert (one.tool_calls, one.model_calls) == (6, 5)
    assert (one.input_tokens, one.output_tokens) == (1000 + 1200 + 1400 + 1600, 480)


def test_tokens_that_nobody_reported_are_not_zero() -> None:
    one = summary_of(spans("chat m", 1))
    assert (one.input_tokens, one.output_tokens, one.by_user) == (None, None, False)
