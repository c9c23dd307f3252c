"""How the time of a model call divides among waiting, the framework on the stream, and the client."""

from __future__ import annotations

import pytest

from autoperf.insight.traces.callbacks import Callbacks, details
from autoperf.insight.traces.critical_path import critical_path
from autoperf.insight.traces.layers import LAYERS, cpu_by_layer, seconds_by_layer, with_sums
from autoperf.insight.traces.tree import build
from autoperf.insight.traces.waterfall import waterfall
from autoperf.telemetry import names
from tests.trace_rows import Trace, layers, turn

MEASURED = {
    names.PROVIDER_SECONDS: 0.5,
    names.FRAMEWORK_SECONDS: 3.0,
    names.FRAMEWORK_CPU: 2.8,
    names.CLIENT_SECONDS: 1.5,
    names.CLIENT_CPU: 1.4,
}


def called(attributes: dict[str, object], milliseconds: float = 5500) -> tuple[Trace, str]:
    trace = Trace(1)
    root = trace.span("user_message", 0, 6000)
    return trace, trace.span("chat m", 0, milliseconds, root, attributes=attributes)


def test_a_model_call_divides_into_what_it_measured_and_the_rest_is_unexplained() -> None:
    trace, _ = called(MEASURED)
    tree = build(trace.rows)
    assert seconds_by_layer(tree) == pytest.approx(
        {"provider": 0.5, "stream": 3.0, "client": 1.5, "unexplained": 1.0}
    )
    assert cpu_by_layer(tree) == pytest.approx({"stream": 2.8, "client": 1.4})


def test_the_sums_on_a_root_count_for_no_second_time() -> None:
    trace, _ = called(MEASURED)
    trace.rows[0] = trace.rows[0]._replace(attributes=dict(MEASURED))
    tree = build(trace.rows)
    assert cpu_by_layer(tree) == pytest.approx({"stream": 2.8, "client": 1.4})
    assert seconds_by_layer(tree)["unexplained"] == pytest.approx(1.0)


def test_a_wait_for_a_rate_limit_is_told_apart_from_the_provider() -> None:
    trace, _ = called(MEASURED | {names.PAUSED_SECONDS: 0.4})
    assert seconds_by_layer(build(trace.rows)) == pytest.approx(
        {"provider": 0.5, "stream": 3.0, "client": 1.5, "retry": 0.4, "unexplained": 0.6}
    )


def test_the_name_of_a_layer_fits_its_column() -> None:
    assert max(map(len, LAYERS.values())) <= 24


def test_what_measured_nothing_is_unexplained_and_no_waiting_for_a_model() -> None:
    trace, _ = called({names.TIME_TO_FIRST_CHUNK: 0.5, names.CHUNKS: 80})
    assert seconds_by_layer(build(trace.rows)) == pytest.approx({"unexplained": 6.0})


def test_spans_inside_a_callback_are_the_frameworks_and_count_once() -> None:
    trace, chat = called(MEASURED)
    point = trace.span("extensions response_stream", 1000, 3000, chat)
    trace.span("extension Slow", 1100, 2900, point)
    trace.span("execute_tool x", 4000, 4500, chat)
    trace.span("intervention", 5000, 5100, chat)
    assert seconds_by_layer(build(trace.rows)) == pytest.approx(
        {"provider": 0.5, "stream": 2.5, "client": 1.5, "tools": 0.5, "waiting": 0.1, "unexplained": 0.9}
    )


def test_beside_other_work_a_call_shares_its_time_and_the_parts_add_up() -> None:
    trace, _ = called(MEASURED, 5000)
    trace.span("execute_tool x", 0, 5000, trace.rows[0].span_id)
    found = seconds_by_layer(build(trace.rows))
    assert found == pytest.approx(
        {"provider": 0.25, "stream": 1.5, "client": 0.75, "tools": 2.5, "unexplained": 1.0}
    )


@pytest.mark.parametrize(
    ("provider", "stream", "expected"), [(0.7, 0.1, "provider"), (0.1, 0.6, "stream"), (0.0, 0.0, "client")]
)
def test_a_bar_has_the_layer_that_took_most_of_it(provider: float, stream: float, expected: str) -> None:
    trace, _ = called(layers(5500, provider, stream))
    root, bar = waterfall(build(trace.rows), fit=10).bars
    assert bar.layer == expected
    assert bar.note.startswith(expected)
    assert root.note.startswith("unexplained ")


def test_the_root_says_how_many_seconds_are_unexplained() -> None:
    trace, _ = called(MEASURED)
    assert waterfall(build(trace.rows), fit=10).bars[0].note == "unexplained 1.0 s"


@pytest.mark.parametrize("seed", range(5))
def test_the_critical_path_divides_likewise(seed: int) -> None:
    tree = build(turn(1, steps=6, seed=seed).rows)
    found = critical_path(tree.root).seconds_by_layer(tree)
    assert sum(found.values()) == pytest.approx(tree.root.duration_ns / 1e9)
    assert found["stream"] == pytest.approx(2 * found["provider"])


def test_what_ran_beside_the_path_is_not_waited_for() -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 1000)
    trace.span("chat m", 0, 900, root, attributes=layers(900))
    trace.span("execute_tool x", 0, 1000, root)
    tree = build(trace.rows)
    assert critical_path(tree.root).seconds_by_layer(tree) == pytest.approx({"tools": 1.0})


def test_what_took_most_of_the_callbacks_is_named_with_its_seconds() -> None:
    told = {
        names.CALLBACK_EXTENSION: "LiveResponse",
        names.CALLBACK_POINT: "response_stream",
        names.CALLBACK_EXTENSION_SECONDS: 1.0,
        names.CALLBACK_FUNCTION: "Agent.monologue.<locals>.stream_callback",
        names.CALLBACK_FUNCTION_SECONDS: 2.0,
    }
    trace, _ = called(MEASURED | told)
    trace.span("chat m", 5600, 5900, trace.rows[0].span_id, attributes=told)
    tree, callbacks = build(trace.rows), Callbacks()
    callbacks.add(tree.spans())
    assert callbacks.extensions == {"LiveResponse (response_stream)": 2.0}
    line = details("stream", cpu_by_layer(tree), callbacks)
    assert line == (
        "CPU 2.8 s; most: LiveResponse (response_stream) 2.0 s, "
        "Agent.monologue.<locals>.stream_callback 4.0 s"
    )
    assert details("provider", {}, callbacks) == ""


def test_an_exported_root_says_what_is_unexplained_and_what_its_model_calls_were() -> None:
    trace, _ = called(MEASURED)
    root, chat = with_sums(trace.rows)
    assert root.attributes == {
        names.PROVIDER_SECONDS: 0.5,
        names.FRAMEWORK_SECONDS: 3.0,
        names.CLIENT_SECONDS: 1.5,
        names.PAUSED_SECONDS: 0.0,
        names.UNEXPLAINED_SECONDS: 1.0,
    }
    assert chat is trace.rows[1]
    assert with_sums(trace.rows[1:]) == trace.rows[1:], "without its root nothing is told"


def test_the_sums_that_a_root_has_measured_are_exported_as_a_live_export_has_them() -> None:
    trace, _ = called(MEASURED | {names.PAUSED_SECONDS: 0.25})
    trace.rows[0] = trace.rows[0]._replace(attributes={names.PAUSED_SECONDS: 0.25})
    trace.span(names.RETRY, 5500, 5900, trace.rows[0].span_id)
    assert seconds_by_layer(build(trace.rows))["retry"] == pytest.approx(0.65)
    root = with_sums(trace.rows)[0]
    assert root.attributes[names.PAUSED_SECONDS] == 0.25
    assert root.attributes[names.UNEXPLAINED_SECONDS] > 0
