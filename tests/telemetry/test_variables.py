"""Malformed standard variables: each is named in one line and passed over, and every trace is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoperf.telemetry.variables import NO_LIMIT, Variables
from tests import telemetry_process
from tests.collector import HttpCollector
from tests.telemetry_process import run, stored

MALFORMED = {
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ["abc", "-5"],
    "OTEL_ATTRIBUTE_COUNT_LIMIT": ["-5", "1e3"],
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": ["-5", "long"],
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": ["-1"],
    "OTEL_SPAN_EVENT_COUNT_LIMIT": ["x"],
    "OTEL_SPAN_LINK_COUNT_LIMIT": ["-5"],
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": ["x"],
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": ["x"],
    "OTEL_TRACES_SAMPLER": ["nonesuch"],
    "OTEL_PYTHON_METER_PROVIDER": ["nonesuch"],
    "OTEL_PYTHON_CONTEXT": ["nonesuch"],
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": ["perhaps"],
    "OTEL_RESOURCE_ATTRIBUTES": ["a=1,nonsense"],
    "OTEL_EXPORTER_OTLP_TIMEOUT": ["soon", "-1"],
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": ["nan", f"{10**20}"],
    "OTEL_EXPORTER_OTLP_HEADERS": ["nonsense", "=x"],
    "OTEL_EXPORTER_OTLP_COMPRESSION": ["zip"],
    "OTEL_BSP_SCHEDULE_DELAY": ["-1", f"{10**20}"],
    "OTEL_BSP_MAX_QUEUE_SIZE": ["many"],
    "OTEL_METRIC_EXPORT_INTERVAL": ["often", f"{10**20}"],
    "OTEL_METRICS_EXEMPLAR_FILTER": ["some"],
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": ["later"],
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": ["fine"],
}
WORK = """
    with telemetry.span("turn", {"a": 1}, new_trace=True): pass
    telemetry.measure("gen_ai.execute_tool.duration", 0.5)
    telemetry.flush(20)
    print(os.environ == before)
"""
BEFORE = "import os; before = dict(os.environ)\n"


@pytest.mark.parametrize("number", [0, 1])
def test_all_of_them_at_once_are_named_and_the_traces_reach_store_and_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(telemetry_process, "PRELUDE", BEFORE + telemetry_process.PRELUDE)
    given = {name: values[min(number, len(values) - 1)] for name, values in MALFORMED.items()}
    with HttpCollector() as collector:
        result = run(WORK, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **given)
    assert (result.returncode, result.stdout) == (0, "True\n")
    lines = result.stderr.splitlines()
    for name in MALFORMED:
        assert sum(line.startswith((f"autoperf: {name}=", f"autoperf: {name} ")) for line in lines) == 1, name
    assert len(lines) == len(MALFORMED), lines
    assert [span["attributes"] for span in stored(tmp_path)] == [{"a": 1}]
    assert collector.names == ["turn"]
    assert collector.metrics


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "abc"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-5"),
        ("OTEL_PYTHON_METER_PROVIDER", "nonesuch"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
        ("OTEL_PROPAGATORS", "nonesuch"),
    ],
)
def test_one_of_them_costs_the_store_nothing(tmp_path: Path, name: str, value: str) -> None:
    result = run(WORK.replace("print(os.environ == before)", ""), tmp_path, **{name: value})
    assert result.returncode == 0
    assert [span["name"] for span in stored(tmp_path)] == ["turn"]
    assert "Traceback" not in result.stderr


def test_what_is_well_formed_is_what_the_sdk_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace import SpanLimits, sampling

    from autoperf.telemetry.provider import make_provider, make_resource

    for given in (
        {},
        {"OTEL_ATTRIBUTE_COUNT_LIMIT": "7", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "30"},
        {"OTEL_ATTRIBUTE_COUNT_LIMIT": "", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": ""},
        {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3", "OTEL_SPAN_LINK_COUNT_LIMIT": "0"},
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
        {"OTEL_TRACES_SAMPLER": "PARENTBASED_ALWAYS_OFF"},
        {"OTEL_RESOURCE_ATTRIBUTES": "a=b%20c, d = e", "OTEL_SERVICE_NAME": "mine"},
    ):
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            monkeypatch.delenv(name)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        variables = Variables()
        made = make_provider(make_resource({}, variables), variables)
        assert vars(made._span_limits) == vars(SpanLimits())
        described = sampling._get_from_env_or_default().get_description()
        assert made.sampler.get_description() == described
        assert variables.problems == []
    assert made.resource.attributes["a"] == "b c"
    assert (made.resource.attributes["d"], made.resource.attributes["service.name"]) == ("e", "mine")


def test_a_value_is_shown_in_one_short_line_and_a_header_not_at_all() -> None:
    delay = "\x1b[2J\n" + "x" * 100
    variables = Variables({"OTEL_BSP_SCHEDULE_DELAY": delay, "OTEL_EXPORTER_OTLP_HEADERS": "key"})
    assert variables.positive("OTEL_BSP_SCHEDULE_DELAY", 5) == 5
    assert variables.exporter("otlp-http", "traces") == {"compression": "none"}
    assert variables.limit("OTEL_ATTRIBUTE_COUNT_LIMIT", NO_LIMIT) == NO_LIMIT
    first, second = variables.problems
    assert first.isprintable()
    assert len(first) < 120
    assert second == "OTEL_EXPORTER_OTLP_HEADERS has an entry that is not key=value: it is passed over"


def test_limits_are_kept_without_a_word_in_the_hosts_logs(tmp_path: Path) -> None:
    code = """
        import logging
        logging.basicConfig(level=logging.DEBUG)
        many = {f"key{number}": "x" * 100 for number in range(10)}
        with telemetry.span("turn", {**many, "list": ["y" * 100]}) as span:
            span.set("key0", "z" * 100)
            for number in range(10): span.set(f"late{number}", "x" * 100)
        with telemetry.span("few", {"list": ["y" * 100], "numbers": [1, 2]}) as span:
            for number in range(10): span.set(f"late{number}", "x" * 100)
        with telemetry.span("open"):
            telemetry.shutdown()
    """
    result = run(code, tmp_path, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="5", OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="20")
    assert result.stderr == ""
    spans = {span["name"]: span["attributes"] for span in stored(tmp_path)}
    assert spans["turn"] == {"key0": "z" * 20, **{f"key{number}": "x" * 20 for number in range(1, 5)}}
    late = {f"late{number}": "x" * 20 for number in range(3)}
    assert spans["few"] == {"list": ["y" * 20], "numbers": [1, 2], **late}
    assert len(spans["open"]) == 1


def test_limits_of_the_hosts_provider_are_kept_too(tmp_path: Path) -> None:
    code = """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        trace.set_tracer_provider(TracerProvider(span_limits=SpanLimits(max_span_attributes=2)))
        while not telemetry.counts()["host_provider"]:
            time.sleep(0.05)
        with telemetry.span("turn", {"a": 1, "b": 2, "c": 3}) as span:
            span.set("d", 4)
    """
    result = run(code, tmp_path)
    assert result.stderr == ""
    assert stored(tmp_path)[0]["attributes"] == {"a": 1, "b": 2}
