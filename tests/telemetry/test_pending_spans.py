"""Spans that exist only when they took long, failed, or hold something; and what hangs below what."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry.tracing import Telemetry
from tests.telemetry_process import begin, stored

HOUR = 3600 * 10**9


@pytest.fixture
def telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    started = begin(tmp_path)
    yield started
    started.shutdown()


def tree(telemetry: Telemetry, home: Path) -> dict[str, str | None]:
    """The name of each stored span and of its parent."""
    telemetry.shutdown()
    spans = stored(home)
    names = {span["span_id"]: span["name"] for span in spans}
    return {span["name"]: names.get(span["parent_id"]) for span in spans}


def test_a_span_of_our_own_can_be_printed(telemetry: Telemetry) -> None:
    with telemetry.span("outer"):
        (outer,) = telemetry._open_spans()
        assert repr(outer).startswith("RecordingSpan('outer', SpanContext(")


def test_what_was_short_and_held_nothing_leaves_nothing(telemetry: Telemetry, tmp_path: Path) -> None:
    with telemetry.span("outer"), telemetry.span("short", from_ns=HOUR):
        pass
    assert tree(telemetry, tmp_path) == {"outer": None}


def test_what_took_long_is_a_span_with_its_own_start_and_what_was_set(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    before = time.time_ns()
    with telemetry.span("long", {"given": 1}, from_ns=1_000_000) as span:
        span.set("set", 2)
        time.sleep(0.003)
    after = time.time_ns()
    assert tree(telemetry, tmp_path) == {"long": None}
    (found,) = stored(tmp_path)
    assert before <= found["start_ns"] <= found["end_ns"] - 3_000_000
    assert found["end_ns"] <= after
    assert found["attributes"] == {"given": 1, "set": 2}


def test_what_something_was_said_of_is_a_span_however_short(telemetry: Telemetry, tmp_path: Path) -> None:
    with telemetry.span("told", from_ns=HOUR) as span:
        span.set("compressed", True)
    assert tree(telemetry, tmp_path) == {"told": None}


def test_what_failed_is_a_span_however_short(telemetry: Telemetry, tmp_path: Path) -> None:
    with pytest.raises(KeyError), telemetry.span("failed", from_ns=HOUR):
        raise KeyError("secret")
    assert tree(telemetry, tmp_path) == {"failed": None}
    assert stored(tmp_path)[0]["status"] == "error"


def test_what_holds_something_is_a_span_and_so_is_all_above_it(telemetry: Telemetry, tmp_path: Path) -> None:
    with (
        telemetry.span("outer"),
        telemetry.span("first", from_ns=HOUR),
        telemetry.span("second", from_ns=HOUR) as second,
    ):
        with telemetry.span("inner"):
            pass
        second.set("late", True)
        with telemetry.span("beside", from_ns=HOUR):
            pass
    assert tree(telemetry, tmp_path) == {
        "outer": None,
        "first": "outer",
        "second": "first",
        "inner": "second",
    }
    assert {s["name"]: s["attributes"] for s in stored(tmp_path)}["second"] == {"late": True}


def test_a_span_after_the_fact_makes_the_one_above_it(telemetry: Telemetry, tmp_path: Path) -> None:
    with telemetry.span("holder", from_ns=HOUR):
        now = time.time_ns()
        telemetry.record("after the fact", now - 10, now)
    assert tree(telemetry, tmp_path) == {"holder": None, "after the fact": "holder"}


def test_two_threads_that_begin_below_it_at_once_share_one_span(telemetry: Telemetry, tmp_path: Path) -> None:
    gate = threading.Barrier(4)

    def child(number: int) -> None:
        gate.wait()
        with telemetry.span(f"child {number}"):
            pass

    with telemetry.span("holder", from_ns=HOUR):
        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(child, number))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = tree(telemetry, tmp_path)
    assert [found[f"child {number}"] for number in range(4)] == ["holder"] * 4
    assert sum(span["name"] == "holder" for span in stored(tmp_path)) == 1


def later(telemetry: Telemetry, *, keep_outer_open: bool, from_ns: int) -> None:
    """A span that begins in a context of which the innermost span has ended."""
    carried: list[contextvars.Context] = []
    with telemetry.span("outer"):
        with telemetry.span("ended", from_ns=from_ns):
            carried.append(contextvars.copy_context())
        if keep_outer_open:
            carried[0].run(begin_and_end, telemetry)
    if not keep_outer_open:
        carried[0].run(begin_and_end, telemetry)


def begin_and_end(telemetry: Telemetry) -> None:
    with telemetry.span("late"):
        pass


@pytest.mark.parametrize("from_ns", [0, HOUR])
def test_nothing_hangs_below_what_has_ended_but_below_the_next_that_has_not(
    telemetry: Telemetry, tmp_path: Path, from_ns: int
) -> None:
    later(telemetry, keep_outer_open=True, from_ns=from_ns)
    assert tree(telemetry, tmp_path)["late"] == "outer"


@pytest.mark.parametrize("from_ns", [0, HOUR])
def test_where_all_have_ended_a_trace_of_its_own_begins_with_a_link(
    telemetry: Telemetry, tmp_path: Path, from_ns: int
) -> None:
    later(telemetry, keep_outer_open=False, from_ns=from_ns)
    assert tree(telemetry, tmp_path)["late"] is None
    spans: dict[str, dict[str, Any]] = {span["name"]: span for span in stored(tmp_path)}
    late, cause = spans["late"], spans["outer" if from_ns else "ended"]
    assert late["trace_id"] != cause["trace_id"]
    assert late["links"] == [[cause["trace_id"], cause["span_id"]]]


def test_work_left_behind_by_a_trace_of_its_own_does_not_fall_back_to_what_set_that_going(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    def work() -> None:
        with telemetry.span("late"):
            pass

    with telemetry.span("turn"):
        with telemetry.span("background", new_trace=True, from_ns=HOUR):
            with telemetry.span("inside"):
                pass
            context = contextvars.copy_context()
        context.run(work)
    assert tree(telemetry, tmp_path) == {
        "turn": None,
        "background": None,
        "inside": "background",
        "late": None,
    }
    spans = {span["name"]: span for span in stored(tmp_path)}
    (link,) = spans["late"]["links"]
    assert link == [spans["background"]["trace_id"], spans["background"]["span_id"]]


def test_a_trace_begun_in_one_that_is_none_yet_is_linked_to_what_set_that_going(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    with (
        telemetry.span("turn"),
        telemetry.span("background", new_trace=True, from_ns=HOUR),
        telemetry.span("message", new_trace=True),
    ):
        pass
    assert tree(telemetry, tmp_path) == {"turn": None, "message": None}
    spans = {span["name"]: span for span in stored(tmp_path)}
    (link,) = spans["message"]["links"]
    assert link == [spans["turn"]["trace_id"], spans["turn"]["span_id"]]
