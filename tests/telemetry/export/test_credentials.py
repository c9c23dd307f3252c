"""Keys in addresses and headers are in no line, no record and no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry.export.credentials import hidden, public
from autoperf.telemetry.store.store import Store
from tests.telemetry_process import run

WORK = """
    with telemetry.span("turn"):
        telemetry.measure("gen_ai.execute_tool.duration", 0.5)
    telemetry.shutdown()
"""


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("https://c:1/v1/traces", "https://c:1/v1/traces"),
        ("https://me:pass@c:1", "https://c:1"),
        ("https://me:pa@ss@c:1", "https://c:1"),
        ("https://me:pa/ss@c:1/x", "https://c:1/x"),
        ("me:pass@c:1", "c:1"),
        ("https://c:1/v1?api-key=pass", "https://c:1/v1"),
        ("rubbish", "rubbish"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_keys(endpoint: str, shown: str) -> None:
    assert public(endpoint) == shown


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "htp://me:pass-1@c"}, "no adapter for 'htp://***@c'"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c?k=pass-1"}, "with url: /v1***"),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=b,key=pass%2D1%0A"}, "in header value: '***\\n'"),
        ({"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "key pass-1"}, "invalid: ***"),
        ({"https_proxy": "http://me:pass-1@c"}, "proxy http://***@c"),
    ],
)
def test_keys_are_hidden_in_what_others_say(variables: dict[str, str], text: str) -> None:
    said = {
        "no adapter for 'htp://***@c'": "no adapter for 'htp://me:pass-1@c'",
        "with url: /v1***": "with url: /v1?k=pass-1",
        "in header value: '***\\n'": "in header value: 'pass-1\\n'",
        "invalid: ***": "invalid: key pass-1",
        "proxy http://***@c": "proxy http://me:pass-1@c",
    }
    assert hidden(said[text], variables) == text
    assert hidden(said[text], {"HOME": "pass-1"}) == said[text]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:SECRET/part@127.0.0.1:9"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "htp://user:SECRET@127.0.0.1:9"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces?key=SECRET"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:SECRET@127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        },
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_HEADERS": "auth SECRET"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_HEADERS": "auth=SECRET%0Ax",
        },
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_HEADERS": "auth=SECRET%0Ax",
        },
    ],
)
def test_whatever_is_wrong_with_the_variables_their_keys_stay_in_them(
    tmp_path: Path, variables: dict[str, Any]
) -> None:
    result = run(WORK, tmp_path, **variables)
    assert result.returncode == 0
    assert "SECRET" not in result.stdout + result.stderr
    *malformed, line = result.stderr.splitlines()
    assert line.startswith("autoperf: no traces reach ")
    assert all("passed over" in one for one in malformed)
    assert len(malformed) <= 1
    (record,) = Store.open(tmp_path).processes()
    assert record["telemetry"]["exporters"][0]["problem"]
    for path in tmp_path.rglob("*"):
        assert b"SECRET" not in path.read_bytes()
