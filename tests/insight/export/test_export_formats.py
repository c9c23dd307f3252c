"""Exported files: what Jaeger and OTLP readers make of them, and that nothing unreadable is in them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from autoperf import cli
from autoperf.cli.verbs import export
from autoperf.insight.export import jaeger, otlp_json
from autoperf.insight.export.values import Described, shareable
from autoperf.telemetry import names
from tests.interpreters import REPOSITORY
from tests.trace_rows import NASTY, Trace, keep, process, turn

RESOURCES = {100: {"service.name": "my-agent", "service.version": "v1.7"}}


def document(form: Any, traces: list[Described], version: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(form.pieces(traces, version)))
    return found


def parsed(found: dict[str, Any]) -> ExportTraceServiceRequest:
    """As a protobuf reader takes it, whose bytes are base64 where OTLP writes hex."""

    def rewritten(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: rewritten(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [rewritten(item) for item in value]
        if key in ("traceId", "spanId", "parentSpanId"):
            return base64.b64encode(bytes.fromhex(value)).decode()
        return value

    message = ExportTraceServiceRequest()
    json_format.Parse(json.dumps(rewritten(found)), message)
    return message


def test_otlp_json_reads_back_as_the_spans_that_were_stored() -> None:
    trace = turn(3)
    trace.rows[0] = trace.rows[0]._replace(links=[["ab" * 16, "cd" * 8]])
    request = parsed(document(otlp_json, [(trace.rows, RESOURCES)], "9.9"))
    (resource,) = request.resource_spans
    assert {one.key: one.value.string_value for one in resource.resource.attributes} == RESOURCES[100]
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("autoperf", "9.9")
    for row, span in zip(trace.rows, scope.spans, strict=True):
        assert (span.trace_id.hex(), span.span_id.hex()) == (row.trace_id, row.span_id)
        assert span.parent_span_id.hex() == (row.parent_id or "")
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (row.start_ns, row.end_ns)
        assert Span.SpanKind.Name(span.kind) == f"SPAN_KIND_{row.kind.upper()}"
        assert span.status.code == {"unset": 0, "error": 2}[row.status]
        assert {one.key for one in span.attributes} == set(row.attributes)
    (link,) = scope.spans[0].links
    assert (link.trace_id.hex(), link.span_id.hex()) == ("ab" * 16, "cd" * 8)


def test_otlp_json_types_and_integers_as_text() -> None:
    trace = Trace(1)
    given = {"b": True, "i": 2**53 + 1, "f": 0.5, "s": "x", "l": ["a", 1], "nan": float("nan"), "big": 2**70}
    trace.span("x", 0, 1, attributes=given)
    found = document(otlp_json, [(trace.rows, {})], "1")
    span = found["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert {one["key"]: one["value"] for one in span["attributes"]} == {
        "b": {"boolValue": True},
        "i": {"intValue": str(2**53 + 1)},
        "f": {"doubleValue": 0.5},
        "s": {"stringValue": "x"},
        "l": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}},
        "nan": {"stringValue": "nan"},
        "big": {"stringValue": str(2**70)},
    }
    assert isinstance(span["startTimeUnixNano"], str)
    parsed(found)


def test_processes_that_shared_a_pid_stay_two_resources() -> None:
    one, two = turn(1), turn(2)
    other = {100: {"service.name": "my-agent", "service.instance.id": "second"}}
    found = document(otlp_json, [(one.rows, RESOURCES), (two.rows, other)], "1")
    instances = [
        [one["value"]["stringValue"] for one in resource["resource"]["attributes"]]
        for resource in found["resourceSpans"]
    ]
    assert instances == [["my-agent", "v1.7"], ["my-agent", "second"]]


def test_jaeger_json_is_what_its_query_api_answers() -> None:
    trace = turn(3)
    trace.rows[0] = trace.rows[0]._replace(links=[["ab" * 16, "cd" * 8]])
    (found,) = document(jaeger, [(trace.rows, RESOURCES)], "9.9")["data"]
    assert found["traceID"] == trace.trace_id
    assert found["processes"] == {
        "p1": {
            "serviceName": "my-agent",
            "tags": [{"key": "service.version", "type": "string", "value": "v1.7"}],
        }
    }
    for row, span in zip(trace.rows, found["spans"], strict=True):
        assert (span["traceID"], span["spanID"], span["processID"]) == (row.trace_id, row.span_id, "p1")
        assert (span["startTime"], span["logs"]) == (row.start_ns // 1000, [])
        assert span["duration"] == (row.end_ns - row.start_ns) // 1000, "as Jaeger rounds it"
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        assert {"span.kind": row.kind, "otel.scope.name": "autoperf"}.items() <= tags.items()
        assert tags.get("error", False) is (row.status == "error")
        parents = [one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"]
        assert parents == ([row.parent_id] if row.parent_id else [])
    assert found["spans"][0]["references"] == [
        {"refType": "FOLLOWS_FROM", "traceID": "ab" * 16, "spanID": "cd" * 8}
    ]


def test_jaeger_tags_have_jaegers_types() -> None:
    trace = Trace(1)
    trace.span("x", 5, 1, attributes={"b": True, "i": 3, "f": 0.5, "l": ["a", 1], "autoperf.cut_off": True})
    (found,) = document(jaeger, [(trace.rows, {})], "1")["data"]
    (span,) = found["spans"]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in span["tags"]}
    assert tags["b"] == ("bool", True)
    assert tags["i"] == ("int64", 3)
    assert tags["f"] == ("float64", 0.5)
    assert tags["l"] == ("string", '["a",1]'), "as Jaeger writes it"
    assert span["duration"] == 0, "it ended before it started"
    assert span["warnings"]


def test_an_otlp_span_does_not_end_before_it_starts() -> None:
    trace = Trace(1)
    trace.span("x", 5, 1)
    (resource,) = document(otlp_json, [(trace.rows, {})], "1")["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert span["endTimeUnixNano"] == span["startTimeUnixNano"] == str(trace.rows[0].start_ns)


def test_the_home_directory_becomes_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert shareable("/home/alice/a0/tools/x.py") == "~/a0/tools/x.py"
    assert shareable(["see /home/alice/x", "/home/alicia/x", "/mnt/home/alice/x"]) == [
        "see ~/x", "/home/alicia/x", "/mnt/home/alice/x",
    ]  # fmt: skip
    monkeypatch.setenv("HOME", "/")
    assert shareable("/srv/a0/x.py") == "/srv/a0/x.py"


@pytest.mark.parametrize("format_", ["jaeger", "otlp-json"])
def test_the_command_writes_a_file_that_reads_back(tmp_path: Path, format_: str) -> None:
    nasty = Trace(9)
    root = nasty.span("user_message", 0, 10)
    for name in (*NASTY, "\ud800 lone surrogate"):
        nasty.span(
            f"execute_tool {name.encode('utf-8', 'replace').decode()}", 1, 2, root, attributes={"k": name}
        )
    home = keep(tmp_path / "home", turn(1), nasty, processes=[process(100, features=["trace"])])
    target = tmp_path / "out.json"
    words = ["export", f"{9:032x}", "--home", str(home), "--format", format_, "-o", str(target)]
    assert cli.main(words) == 0
    found = json.loads(target.read_text("ascii"))
    if format_ == "jaeger":
        spans = found["data"][0]["spans"]
        assert found["data"][0]["processes"]["p1"]["serviceName"] == "my-agent"
    else:
        parsed(found)
        spans = found["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert len(spans) == len(nasty.rows)
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_newest_message_by_default_and_several_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = Trace(5, at_ms=99_000)
    later.span("background memorize", 0, 1)
    home = str(keep(tmp_path, turn(1, at_ms=0), turn(2, at_ms=9000), later))
    assert cli.main(["export", "--home", home]) == 0
    assert [one["traceID"][-1] for one in json.loads(capsys.readouterr().out)["data"]] == ["2"]
    assert cli.main(["export", "--home", home, "--last", "2"]) == 0
    assert [one["traceID"][-1] for one in json.loads(capsys.readouterr().out)["data"]] == ["5", "2"]
    assert cli.main(["export", "--home", home, f"{1:032x}", f"{1:032x}", f"{2:032x}"]) == 0
    assert [one["traceID"][-1] for one in json.loads(capsys.readouterr().out)["data"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ffff"], "no trace ffff in"),
        (["xyz"], "'xyz' is no trace id"),
        (["0000"], "0000 fits more than one trace: 00000000, 00000000"),
        (["1" * 33], "is no trace id"),
        ([f"{1:032x}", "--last", "2"], "not both"),
        (["-o", "/dev/null/x.json"], "/dev/null/x.json: not a directory"),
        (["-o", "/nowhere/x.json"], "/nowhere/x.json: no such file or directory"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(keep(tmp_path, turn(1), turn(2)))
    assert cli.main(["export", *words, "--home", home]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said in captured.err


def test_a_folder_is_no_file_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = str(keep(tmp_path, turn(1)))
    assert cli.main(["export", "--home", home, "-o", str(tmp_path)]) == 1
    assert "is a directory" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".autoperf-")]


def test_a_real_run_is_exported_under_the_name_that_it_was_given(tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AUTOPERF_", "OTEL_"))}
    variables = {**clean, "PYTHONPATH": str(REPOSITORY), "OTEL_SERVICE_NAME": "my-zero"}
    ours = [sys.executable, "-m", "autoperf"]
    agent = [sys.executable, str(REPOSITORY / "examples" / "mini_agent" / "run_ui.py")]
    subprocess.run(
        [*ours, "run", "--quiet", "--home", str(tmp_path), *agent],
        env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=120,
    )  # fmt: skip
    done = subprocess.run(
        [*ours, "export", "--home", str(tmp_path)], env=clean | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    (trace,) = json.loads(done.stdout)["data"]
    (described,) = trace["processes"].values()
    tags = {tag["key"]: tag["value"] for tag in described["tags"]}
    assert described["serviceName"] == "my-zero"
    assert {names.SERVICE_INSTANCE_ID, names.SERVICE_VERSION} <= tags.keys()
    assert trace["spans"][0]["operationName"] == names.MESSAGE


def test_a_trace_that_is_not_exported_whole_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "SPANS_READ", 2)
    trace = turn(1)
    assert cli.main(["export", "--home", str(keep(tmp_path, trace)), "-o", str(tmp_path / "x.json")]) == 0
    said = f"autoperf: trace {trace.trace_id}: the first 2 of {len(trace.rows)} spans\n"
    assert capsys.readouterr().err == said
