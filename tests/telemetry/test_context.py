"""The host's OpenTelemetry context and global random stream: no trace of us, but in a shared provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector import HttpCollector
from tests.telemetry_process import run, stored

PLUGIN = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider, sampling
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    seen = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampling.ParentBased(sampling.ALWAYS_ON))
    provider.add_span_processor(SimpleSpanProcessor(seen))
    plugin = provider.get_tracer("plugin")
"""
ADOPTED = (
    PLUGIN
    + """
    trace.set_tracer_provider(provider)
    while not telemetry.counts()["host_provider"]:
        time.sleep(0.05)
"""
)


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
def test_a_plugin_with_a_provider_of_its_own_gets_no_parent_of_ours(tmp_path: Path, sampler: str) -> None:
    code = """
    with telemetry.span("turn"), telemetry.span("maybe", from_ns=10**12):
        print(trace.get_current_span() is trace.INVALID_SPAN)
        with plugin.start_as_current_span("theirs"):
            with telemetry.span("ours"):
                print(trace.get_current_span().name)
                with plugin.start_as_current_span("inner"): pass
    print([(span.name, span.parent and span.parent.span_id == seen.get_finished_spans()[-1].context.span_id)
           for span in seen.get_finished_spans()])
    """
    result = run(PLUGIN + code, tmp_path, OTEL_TRACES_SAMPLER=sampler)
    assert result.stdout.split("\n")[:3] == ["True", "theirs", "[('inner', True), ('theirs', None)]"]
    spans = {span["name"]: span for span in stored(tmp_path)}
    if sampler == "always_off":
        assert spans == {}
    else:
        assert spans["ours"]["parent_id"] == spans["maybe"]["span_id"]
        assert len({span["trace_id"] for span in spans.values()}) == 1


def test_an_unsampled_span_of_a_plugin_does_not_keep_ours_from_being_recorded(tmp_path: Path) -> None:
    code = """
    off = TracerProvider(sampler=sampling.ALWAYS_OFF).get_tracer("plugin")
    with off.start_as_current_span("theirs"), telemetry.span("ours"): pass
    """
    run(PLUGIN + code, tmp_path)
    assert [span["name"] for span in stored(tmp_path)] == ["ours"]


def test_in_a_provider_that_the_host_shares_spans_of_both_hang_together(tmp_path: Path) -> None:
    code = """
    with plugin.start_as_current_span("a"), telemetry.span("b"), plugin.start_as_current_span("c"):
        with telemetry.span("d", from_ns=10**12):
            print(trace.get_current_span().get_span_context() == telemetry_parent())
            with telemetry.span("e"), plugin.start_as_current_span("f"): pass
        with telemetry.span("g", from_ns=10**12, new_trace=True):
            print(trace.get_current_span().get_span_context().is_valid)
    spans = {span.name: span for span in seen.get_finished_spans()}
    of = {span.context.span_id: name for name, span in spans.items()}
    print({name: span.parent and of[span.parent.span_id] for name, span in sorted(spans.items())})
    print(trace.get_current_span() is trace.INVALID_SPAN)
    """
    helper = """
    def telemetry_parent():
        from autoperf.telemetry import context
        return context._SPAN.get().span._above.get_span_context()
    """
    result = run(ADOPTED + helper + code, tmp_path)
    assert result.stdout.split("\n") == [
        "True",
        "False",
        "{'a': None, 'b': 'a', 'c': 'b', 'd': 'c', 'e': 'd', 'f': 'e'}",
        "True",
        "",
    ]


def test_what_the_host_says_of_the_current_span_is_said_of_its_own_while_ours_is_none_yet(
    tmp_path: Path,
) -> None:
    code = """
    with plugin.start_as_current_span("theirs"), telemetry.span("d", from_ns=10**12):
        current = trace.get_current_span()
        print(current.is_recording(), current.name, repr(current).startswith("_Span(name="))
        current.set_attribute("one", 1)
        current.set_attributes({"two": 2})
        current.add_event("event", attributes={"three": 3})
        current.set_status(trace.StatusCode.ERROR, description="why")
        current.update_name("renamed")
        try:
            raise ValueError
        except ValueError as error:
            current.record_exception(error)
    span, = seen.get_finished_spans()
    print(span.name, dict(span.attributes), [event.name for event in span.events], span.status.description)
    with telemetry.span("below", from_ns=10**12):
        print(trace.get_current_span().is_recording(), repr(trace.get_current_span())[:16])
        print(hasattr(trace.get_current_span(), "name"))
    """
    assert run(ADOPTED + code, tmp_path).stdout.splitlines() == [
        "True theirs True",
        "renamed {'one': 1, 'two': 2} ['event', 'exception'] why",
        "False NonRecordingSpan",
        "False",
    ]


def test_links_and_the_current_trace_do_not_depend_on_it(tmp_path: Path) -> None:
    code = """
    with telemetry.span("turn"):
        mine = telemetry.current_trace_id()
        with plugin.start_as_current_span("theirs"):
            print(telemetry.current_trace_id() == mine)
            with telemetry.span("background", new_trace=True): pass
    """
    assert run(PLUGIN + code, tmp_path).stdout == "True\n"
    spans = {span["name"]: span for span in stored(tmp_path)}
    assert spans["background"]["links"] == [[spans["turn"]["trace_id"], spans["turn"]["span_id"]]]


WORK = """
    import random, asyncio
    random.seed(7)
    before = random.getstate()
    for number in range(50):
        with telemetry.span("turn"):
            telemetry.measure("gen_ai.execute_tool.duration", number / 10)
    telemetry.flush(20)
    print(random.getstate() == before)
"""


@pytest.mark.parametrize(
    "histogram", ["explicit_bucket_histogram", "base2_exponential_bucket_histogram", "nonsense"]
)
def test_nothing_of_ours_draws_from_the_global_random_stream(tmp_path: Path, histogram: str) -> None:
    with HttpCollector() as collector:
        result = run(
            WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=histogram,
            OTEL_METRICS_EXEMPLAR_FILTER="always_on",
        )
    assert result.stdout == "True\n"
    assert len(collector.names) == 50
    assert collector.metrics


def test_where_a_sampler_decides_the_spans_of_the_sdk_do_not_draw_either(tmp_path: Path) -> None:
    assert run(WORK, tmp_path, OTEL_TRACES_SAMPLER="always_on").stdout == "True\n"
    assert len(stored(tmp_path)) == 50


def test_a_collector_that_is_not_there_is_tried_again_without_it(tmp_path: Path) -> None:
    result = run(
        WORK, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="2"
    )
    assert result.stdout == "True\n"


def test_in_the_hosts_provider_our_spans_do_not_draw_either(tmp_path: Path) -> None:
    assert run(ADOPTED + WORK, tmp_path).stdout == "True\n"


def test_two_processes_that_seed_alike_and_a_forked_child_have_ids_of_their_own(tmp_path: Path) -> None:
    code = """
    import random
    random.seed(7)
    for name in ("parent", "child"):
        if name == "parent" or os.fork() == 0:
            with telemetry.span(name): pass
    """
    for _ in range(2):
        assert run(code, tmp_path).returncode == 0
    found = [span["trace_id"] for span in stored(tmp_path)]
    assert len(found) == len(set(found)) == 4
