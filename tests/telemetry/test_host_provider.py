"""A TracerProvider that the host sets while we run: every span is exported once, also at a sudden end."""

from __future__ import annotations

from pathlib import Path

from autoperf.telemetry import names
from tests.collector import HttpCollector
from tests.telemetry_process import run, stored

HOST = """
    def become_traced():
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        exporter = OTLPSpanExporter(endpoint=os.environ["HOST_ENDPOINT"] + "/v1/traces")
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        while not telemetry.counts()["host_provider"]:
            time.sleep(0.05)
"""


def test_what_was_open_when_the_host_set_one_is_exported_by_us_and_the_rest_by_it(tmp_path: Path) -> None:
    code = """
    with telemetry.span("turn"):
        become_traced()
        with telemetry.span("later"):
            pass
    """
    with HttpCollector() as ours, HttpCollector() as theirs:
        result = run(
            HOST + code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=ours.endpoint, HOST_ENDPOINT=theirs.endpoint
        )
    assert (result.returncode, result.stderr) == (0, "")
    assert (ours.names, theirs.names) == (["turn"], ["later"])
    assert theirs.spans[0]["parent_id"] == ours.spans[0]["span_id"]
    assert {span["name"] for span in stored(tmp_path)} == {"turn", "later"}


def test_what_is_open_in_it_is_cut_off_before_it_ends_itself(tmp_path: Path) -> None:
    work = """
    become_traced()
    turn = telemetry.span("turn")
    turn.__enter__()
    with telemetry.span("done"):
        pass
    """
    with HttpCollector() as collector:
        result = run(HOST + work, tmp_path, HOST_ENDPOINT=collector.endpoint)
    assert (result.returncode, result.stderr) == (0, "")
    assert {span["name"]: span["attributes"] for span in collector.spans} == {
        "done": {},
        "turn": {names.CUT_OFF: True},
    }


def test_measurements_go_to_the_host_alone_once_it_has_a_provider(tmp_path: Path) -> None:
    code = """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
        while not telemetry.counts()["metrics"]["host_provider"]:
            time.sleep(0.05)
        telemetry.measure("gen_ai.execute_tool.duration", 0.5)
        telemetry.flush()
    """
    with HttpCollector() as ours:
        result = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=ours.endpoint)
    assert (result.returncode, result.stderr) == (0, "")
    assert ours.metrics == []
