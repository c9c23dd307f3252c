"""Metrics to real collectors: what is measured, what is read, when it is sent, and when it is left alone."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk import metrics as sdk

from autoperf.process.config import Config
from autoperf.telemetry import names
from autoperf.telemetry.metrics import instruments
from autoperf.telemetry.tracing import Telemetry
from tests.collector import GrpcCollector, HttpCollector, refused_endpoint
from tests.telemetry_process import begin, run, stored

# Seconds for the last send. Without a number it gets what an exit may cost: too little on a busy machine.
PATIENCE = 30
SNAPSHOT = {
    "caches": {
        "tools": {"evictions": 1, "currsize": 3, "seconds_saved": 0.25},
        "code": {"evictions": 0, "currsize": 7, "seconds_saved": 0.0},
    },
    "lookups": {
        "tools": {"lookups": 7, "hits": 5, "misses": 2},
        "code": {"lookups": 7, "hits": 0, "misses": 7},
        "extensions": {"lookups": 40, "hits": None, "misses": None},
    },
    "interventions": {"calls": 12, "waited": 1, "raised": 2},
}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpCollector]:
    with HttpCollector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.endpoint)
        yield running


def values(metric: Any) -> dict[tuple[str, ...], float]:
    """The numbers of a metric by the values of their attributes."""
    points = getattr(metric, metric.WhichOneof("data")).data_points
    return {
        tuple(pair.value.string_value for pair in point.attributes): getattr(point, point.WhichOneof("value"))
        for point in points
    }


def test_what_is_measured_arrives_with_buckets_and_the_span_as_example(
    tmp_path: Path, collector: HttpCollector, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = begin(tmp_path)
    with telemetry.span("execute_tool x"):
        trace_id = telemetry.current_trace_id()
        telemetry.measure(names.EXECUTE_TOOL_DURATION, 0.3, {names.TOOL_NAME: "x", names.ERROR_TYPE: None})
        telemetry.measure(names.EXECUTE_TOOL_DURATION, 0.3, {names.TOOL_NAME: "x"})
        telemetry.measure(names.TOKEN_USAGE, 100, {names.TOKEN_TYPE: "input"})
        for nonsense in (-1, math.nan, math.inf):
            telemetry.measure(names.TOKEN_USAGE, nonsense, {})
    telemetry.shutdown(PATIENCE)
    assert caplog.records == [], "nothing for the host's logs"
    (found,) = collector.metrics
    (point,) = found[names.EXECUTE_TOOL_DURATION].histogram.data_points
    assert (point.count, point.sum) == (2, 0.6)
    assert list(point.explicit_bounds) == [0.01 * 2**power for power in range(14)]
    assert found[names.EXECUTE_TOOL_DURATION].unit == "s"
    (tokens,) = found[names.TOKEN_USAGE].histogram.data_points
    assert (tokens.count, list(tokens.explicit_bounds)) == (1, [4**power for power in range(14)])
    if hasattr(sdk, "TraceBasedExemplarFilter"):
        assert point.exemplars[0].trace_id.hex() == trace_id
        assert point.exemplars[0].span_id.hex() == stored(tmp_path)[0]["span_id"]


def test_counters_and_vitals_are_read_when_metrics_are_sent(tmp_path: Path, collector: HttpCollector) -> None:
    begin(tmp_path, **SNAPSHOT).shutdown(PATIENCE)
    (found,) = collector.metrics
    assert values(found[names.CACHE_HITS]) == {("tools",): 5, ("code",): 0}
    assert values(found[names.CACHE_MISSES]) == {("tools",): 2, ("code",): 7}
    assert values(found[names.CACHE_EVICTIONS]) == {("tools",): 1, ("code",): 0}
    assert values(found[names.CACHE_SIZE]) == {("tools",): 3, ("code",): 7}
    assert values(found[names.CACHE_SAVED]) == {("tools",): 0.25, ("code",): 0}
    assert values(found[names.EXTENSION_CALLS]) == {(): 40}
    assert values(found[names.INTERVENTION_CHECKS]) == {(): 12}
    assert values(found[names.INTERVENTION_WAITS]) == {(): 1}
    assert values(found[names.INTERVENTION_RAISES]) == {(): 2}
    assert set(values(found[names.CPU_UTILIZATION])) == {("user",), ("system",)}
    assert values(found[names.MEMORY_USAGE])[()] > 1 << 20
    assert values(found[names.THREAD_COUNT])[()] >= threading.active_count() - 4
    assert set(values(found[names.CONTEXT_SWITCHES])) == {("voluntary",), ("involuntary",)}
    counter, up_down = found[names.CACHE_HITS].sum, found[names.CACHE_SIZE].sum
    assert (counter.is_monotonic, up_down.is_monotonic) == (True, False)


def test_every_instrument_of_the_table_has_its_name_once() -> None:
    rows = [*instruments.HISTOGRAMS, *instruments.OBSERVED]
    assert len({row.name for row in rows}) == len(rows)
    assert {row.name for row in rows} <= {v for v in vars(names).values() if isinstance(v, str)}


def test_metrics_go_over_grpc_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with GrpcCollector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
        telemetry = begin(tmp_path)
        telemetry.measure(names.OPERATION_DURATION, 1.5)
        telemetry.shutdown(PATIENCE)
    assert names.OPERATION_DURATION in collector.metrics[0]
    assert telemetry.counts()["exporters"] == [], "the variables named an endpoint for metrics only"


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
def test_where_metrics_go_nowhere_nothing_is_measured(
    tmp_path: Path, collector: HttpCollector, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    telemetry = begin(tmp_path)
    telemetry.measure(names.OPERATION_DURATION, 1.5)
    assert telemetry._metrics is None
    telemetry.shutdown(PATIENCE)
    assert collector.metric_requests == 0
    assert "metrics" not in telemetry.counts()


def test_they_are_sent_at_the_interval_and_deltas_when_asked_for(
    tmp_path: Path, collector: HttpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    telemetry = begin(tmp_path, **SNAPSHOT)
    telemetry.measure(names.OPERATION_DURATION, 1.5)
    deadline = time.monotonic() + 30
    while len(collector.metrics) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    telemetry.measure(names.OPERATION_DURATION, 1.5)
    telemetry.shutdown(PATIENCE)
    points = [
        point
        for found in collector.metrics
        if names.OPERATION_DURATION in found
        for point in found[names.OPERATION_DURATION].histogram.data_points
    ]
    assert len(collector.metrics) >= 3
    assert [point.count for point in points] == [1, 1], "each value is sent once"
    size = values(collector.metrics[-1][names.CACHE_SIZE])
    assert size["tools",] == 3, "what goes up and down stays cumulative"


@pytest.mark.parametrize("kind", ["404", "405", "grpc"])
def test_a_collector_that_takes_no_metrics_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    with (
        GrpcCollector(metrics=False)
        if kind == "grpc"
        else HttpCollector(metrics_status=int(kind)) as collector
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc" if kind == "grpc" else "http/protobuf")
        telemetry = begin(tmp_path)
        telemetry.measure(names.OPERATION_DURATION, 1.5)
        with telemetry.span("x"):
            pass
        assert telemetry.flush(PATIENCE)
        metrics = telemetry.counts()["metrics"]
        assert (metrics["dropped"], metrics["exporters"][0]["problem"]) == (0, "takes no metrics")
        assert metrics["exporters"][0]["sent"] == 0
        deadline = time.monotonic() + 30
        while telemetry._metrics is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert telemetry._metrics is None, "nothing is measured any more"
        telemetry.flush(PATIENCE)
        telemetry.shutdown(PATIENCE)
    assert collector.names == ["x"]
    assert collector.metric_requests == (0 if kind == "grpc" else 1)
    assert capsys.readouterr() == ("", "")


def test_a_provider_of_the_hosts_takes_the_measurements(tmp_path: Path) -> None:
    code = """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        while not (telemetry._metrics and telemetry.counts()["metrics"]["host_provider"]):
            time.sleep(0.05)
        telemetry.measure("gen_ai.execute_tool.duration", 0.5, {"gen_ai.tool.name": "x"})
        def seen():
            data = reader.get_metrics_data()
            return {m.name for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}
        print({"gen_ai.execute_tool.duration", "process.memory.usage"} <= seen())
        telemetry.shutdown()
        print("process.memory.usage" in seen())
    """
    result = run(code, tmp_path)
    assert (result.stdout.split(), result.stderr) == (["True", "False"], "")


def test_no_provider_is_made_global_and_exporters_wait(tmp_path: Path) -> None:
    with HttpCollector() as collector:
        code = """
            from opentelemetry.metrics import _internal
            telemetry.measure("gen_ai.execute_tool.duration", 0.5)
            early = [name for name in sys.modules if name.startswith("opentelemetry.exporter")]
            print(_internal._METER_PROVIDER, early)
            telemetry.shutdown(30)
        """
        result = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert (result.stdout.strip(), result.stderr) == ("None []", "")
    assert names.EXECUTE_TOOL_DURATION in collector.metrics[-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_counts_only_its_own(tmp_path: Path) -> None:
    with HttpCollector() as collector:
        code = """
            telemetry.shutdown(30)
            hits = {"hits": 5}
            count = lambda: {"lookups": {"tools": dict(hits)}}
            telemetry = Telemetry.start(Config(), resource={}, snapshot=count, store_dir=Path(sys.argv[1]))
            telemetry.measure("gen_ai.execute_tool.duration", 0.5)
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            else:
                telemetry.measure("gen_ai.invoke_agent.duration", 0.5)
                hits["hits"] += 2
            telemetry.shutdown(30)
        """
        result = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert (result.returncode, result.stderr) == (0, "")
    _, child, parent = collector.metrics
    assert (names.EXECUTE_TOOL_DURATION in parent, names.INVOKE_AGENT_DURATION in parent) == (True, False)
    assert (names.EXECUTE_TOOL_DURATION in child, names.INVOKE_AGENT_DURATION in child) == (False, True)
    assert values(parent[names.CACHE_HITS]) == {("tools",): 5}
    assert values(child[names.CACHE_HITS]) == {("tools",): 2}


@pytest.mark.parametrize("spans_too", [True, False])
def test_a_dead_collector_is_spoken_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spans_too: bool
) -> None:
    endpoint = refused_endpoint()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{endpoint}/v1/metrics")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    if spans_too:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{endpoint}/v1/traces")
    telemetry = begin(tmp_path)
    with telemetry.span("x"):
        telemetry.measure(names.OPERATION_DURATION, 1.0)
    telemetry.flush(PATIENCE)
    telemetry.shutdown(PATIENCE)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"autoperf: no {'traces' if spans_too else 'metrics'} reach {endpoint}")


def test_spans_tell_which_loops_there_are(tmp_path: Path, collector: HttpCollector) -> None:
    telemetry = begin(tmp_path)

    async def host() -> int:
        with telemetry.span("turn"):
            assert telemetry._metrics is not None
            return len(telemetry._metrics.loops._known)

    assert asyncio.run(host()) == 1
    telemetry.shutdown(PATIENCE)


def test_quiet_and_without_spans_there_are_no_metrics(tmp_path: Path, collector: HttpCollector) -> None:
    telemetry = Telemetry.start(Config(), resource={}, snapshot=dict, store_dir=tmp_path, spans=False)
    telemetry.measure(names.OPERATION_DURATION, 1.0)
    telemetry.shutdown(PATIENCE)
    assert collector.metric_requests == 0
