"""The host of these tests, recording into a real store, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.telemetry.tracing import Telemetry
from tests.telemetry_process import begin, stored
from tests.turns.host import Host


@pytest.fixture
def telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    started = begin(tmp_path)
    yield started
    started.shutdown()


@pytest.fixture
def host(telemetry: Telemetry) -> Host:
    return Host(Probe(telemetry))


@pytest.fixture
def told(telemetry: Telemetry, tmp_path: Path) -> Callable[[], list[str]]:
    """Every span as ``root > ... > name``, in order of start; traces in order of start."""

    def read() -> list[str]:
        telemetry.shutdown()
        spans = {span["span_id"]: span for span in stored(tmp_path)}

        def path(span: dict[str, Any]) -> str:
            above = spans.get(span["parent_id"] or "")
            return f"{path(above)} > {span['name']}" if above else str(span["name"])

        return [path(span) for span in sorted(spans.values(), key=lambda span: span["start_ns"])]

    return read
