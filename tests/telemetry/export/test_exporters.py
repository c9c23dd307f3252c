"""Spans to real collectors, healthy and not, as the standard variables say."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.insight.history import History
from autoperf.insight.traces.layers import with_sums
from autoperf.process.config import Config
from autoperf.process.installation import doctor
from autoperf.process.runtime import _root_sums
from autoperf.telemetry import names
from autoperf.telemetry.export import root_sums
from autoperf.telemetry.export.otlp import Target, targets
from autoperf.telemetry.store.store import Store
from autoperf.telemetry.tracing import Telemetry
from tests.collector import GrpcCollector, HangingCollector, HttpCollector
from tests.telemetry_process import SOME_WORK, begin, run, stored


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, [Target("otlp-http", "http://c:1/v1/traces")]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/x"}, [Target("otlp-http", "http://c:1/x")]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            [Target("otlp-grpc", "http://c:1")],
        ),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, [Target("otlp-http", "http://localhost:4318/v1/traces")]),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, []),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"}, []),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://me:secret@c:1"},
            [Target("otlp-http", "https://c:1/v1/traces")],
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, [Target("console", "stdout")]),
    ],
)
def test_the_standard_variables_choose_the_exporters(variables: dict[str, str], found: list[Target]) -> None:
    assert targets(variables) == (found, [])


def test_unknown_exporters_and_protocols_are_named() -> None:
    found, problems = targets(
        {"OTEL_TRACES_EXPORTER": "zipkin,otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    )
    assert [target.kind for target in found] == ["otlp-http"]
    assert [word in line for word, line in zip(("zipkin", "http/json"), problems, strict=True)] == [
        True,
        True,
    ]


@pytest.mark.parametrize(("protocol", "make"), [("http/protobuf", HttpCollector), ("grpc", GrpcCollector)])
def test_a_collector_receives_what_happened(tmp_path: Path, protocol: str, make: Any) -> None:
    with make() as collector:
        result = run(
            SOME_WORK,
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_RESOURCE_ATTRIBUTES="service.version=v10,team=a",
        )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    tool, root = collector.spans
    assert (root["name"], root["parent_id"], root["scope"]) == ("invoke_agent A0", None, "autoperf")
    assert root["attributes"] == {"gen_ai.operation.name": "invoke_agent"}
    assert (tool["parent_id"], tool["status"], tool["events"]) == (root["span_id"], 2, 0)
    assert tool["attributes"] == {"error.type": "OSError"}
    resource = collector.resources[0]
    assert resource["service.name"] == "agent-zero"
    assert (resource["service.version"], resource["team"]) == ("v10", "a"), "the variables win"
    assert len(resource["service.instance.id"]) == 36
    assert len(stored(tmp_path)) == 2


def test_a_live_root_says_what_is_unexplained_of_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(telemetry: Telemetry) -> None:
        with telemetry.span(names.MESSAGE, new_trace=True):
            time.sleep(0.03)
            with telemetry.span(f"{names.EXECUTE_TOOL} x"):
                time.sleep(0.01)

    with HttpCollector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        telemetry = Telemetry.start(
            Config(home=tmp_path), resource={}, snapshot=dict, store_dir=tmp_path, sums=_root_sums
        )
        talk(telemetry)
        talk(telemetry)
        telemetry.shutdown()
        (first, *_) = collector.spans
        roots = [span for span in collector.spans if span["parent_id"] is None]
        assert first["attributes"] == {}
    with History(tmp_path) as history:
        expected = {
            row.span_id: row.attributes[names.UNEXPLAINED_SECONDS]
            for trace in history.traces()
            for row in with_sums(history.spans(trace.trace_id))
            if row.parent_id is None
        }
    assert len(roots) == 2
    assert {one["span_id"]: one["attributes"][names.UNEXPLAINED_SECONDS] for one in roots} == expected
    assert all(0.03 <= seconds < 5 for seconds in expected.values())


def test_a_trace_too_long_to_sum_up_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    kept: list[int] = []
    tell = root_sums.RootSums.tell

    def counted(self: Any, spans: Any) -> Any:
        kept.extend(len(span.trace) for span in spans if span.parent is None)
        return tell(self, spans)

    monkeypatch.setattr(root_sums.RootSums, "tell", counted)
    monkeypatch.setattr(root_sums, "MOST", 3)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    telemetry = Telemetry.start(
        Config(home=tmp_path), resource={}, snapshot=dict, store_dir=tmp_path,
        sums=lambda rows: asked.append(len(rows)) or {},
    )  # fmt: skip
    for children in (2, 20):
        with telemetry.span(names.MESSAGE, new_trace=True):
            for _ in range(children):
                with telemetry.span("step"):
                    pass
    telemetry.shutdown()
    assert asked == [3]
    assert kept == [3, 4], "no more is kept than tells that it is too long"


def test_a_collector_that_comes_back_gets_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpCollector(status=400) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
        telemetry = begin(tmp_path)
        with telemetry.span("early"):
            pass
        telemetry.flush(20)
        assert telemetry.counts()["exporters"][0]["problem"]
        collector.status = 200
        with telemetry.span("late"):
            pass
        telemetry.shutdown(20)
    assert collector.names == ["early", "late"]
    assert collector.resources[0]["service.name"] == "mine"
    (exporter,) = telemetry.counts()["exporters"]
    assert (exporter["sent"], exporter["dropped"], exporter["problem"]) == (2, 0, None)


def test_a_hanging_collector_does_not_hold_up_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HangingCollector() as hanging:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.endpoint)
        telemetry = begin(tmp_path)
        with telemetry.span("first"):
            pass
        assert telemetry.flush(0.5) is False
        with telemetry.span("second"):
            pass
        telemetry.flush(0.5)
        assert [span["name"] for span in stored(tmp_path)] == ["second", "first"]
        telemetry.shutdown(0.1)


def test_the_sdk_switched_off_records_nothing_but_the_process(tmp_path: Path) -> None:
    assert run(SOME_WORK, tmp_path, OTEL_SDK_DISABLED="true").returncode == 0
    assert stored(tmp_path) == []
    assert Store.open(tmp_path).processes()[0]["local"] == 3


def test_the_console_exporter_prints_spans(tmp_path: Path) -> None:
    assert '"name": "invoke_agent A0"' in run(SOME_WORK, tmp_path, OTEL_TRACES_EXPORTER="console").stdout


def test_opentelemetrys_own_switch_records_nothing_and_doctor_says_so(tmp_path: Path) -> None:
    assert run(SOME_WORK, tmp_path, OTEL_SDK_DISABLED="true").returncode == 0
    assert stored(tmp_path) == []
    (finding,) = doctor.telemetry({"OTEL_SDK_DISABLED": "TRUE"}, 0.1)
    assert "no spans" in finding.text


def test_the_limits_are_those_of_the_variables(tmp_path: Path) -> None:
    work = 'with telemetry.span("x", {"a": "1", "b": "2"}): pass'
    assert run(work, tmp_path, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="1").returncode == 0
    assert [span["attributes"] for span in stored(tmp_path)] == [{"a": "1"}], (
        "the specification: a new one is discarded"
    )
