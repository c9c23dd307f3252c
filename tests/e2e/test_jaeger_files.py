"""Exported files against a real Jaeger: it makes of one format what the other says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoperf import cli
from tests.jaeger import Jaeger, Span, needs_jaeger, spans_of
from tests.trace_rows import NASTY, Trace, keep, process, turn

pytestmark = needs_jaeger


def exported(home: str, target: Path, form: str) -> bytes:
    words = ["export", "--last", "9", "--home", home, "--format", form, "-o", str(target / form)]
    assert cli.main(words) == 0
    return (target / form).read_bytes()


def test_both_formats_say_the_same_to_jaeger(tmp_path: Path) -> None:
    nasty, later = Trace(2 << 120, at_ms=99_000), Trace(3 << 120, at_ms=200_000)
    root = nasty.span("user_message", 0, 100, attributes={"list": ["ü", "b"], "share": 0.5, "flag": True})
    for name in NASTY:
        nasty.span(f"execute_tool {name}", 1.0004, 50, root, status="error", attributes={name: name})
    later.span("background memorize", 0, 5, links=[(nasty.trace_id, root)])
    home = str(keep(tmp_path / "home", turn(1 << 120), nasty, later, processes=[process(100, features=[])]))
    ours = [list(spans_of(trace)) for trace in json.loads(exported(home, tmp_path, "jaeger"))["data"]]
    with Jaeger(tmp_path) as jaeger:
        jaeger.take(exported(home, tmp_path, "otlp-json"))
        theirs = [jaeger.trace(spans[0].trace_id, len(spans)) for spans in ours]
    assert sum(map(len, ours)) > 40
    assert list(map(rows, ours)) == list(map(rows, theirs))
    assert {span.service["service.name"] for spans in theirs for span in spans} == {"my-agent"}


def rows(spans: list[Span]) -> list[dict[str, Any]]:
    return sorted((asdict(span) for span in spans), key=lambda row: str(row["span_id"]))
