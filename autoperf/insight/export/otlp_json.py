"""Traces in OTLP's JSON encoding, one ``ExportTraceServiceRequest``: for Jaeger and every OTLP/HTTP endpoint.

Source: OpenTelemetry protocol specification, JSON Protobuf encoding: ids in hex, 64-bit integers as
strings, enumerations as numbers, keys in lowerCamelCase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from autoperf.insight.export.values import Described, shareable, to_text
from autoperf.telemetry import names
from autoperf.telemetry.store.tables import SpanRow

_KINDS: Final = {names.INTERNAL: 1, names.SERVER: 2, names.CLIENT: 3, names.PRODUCER: 4, names.CONSUMER: 5}
_STATUS: Final = {"unset": 0, "ok": 1, "error": 2}


def pieces(traces: Iterable[Described], version: str) -> Iterator[str]:
    """The text of one file with ``traces``, one by one; ``version`` is ours, for the spans' scope."""
    scope = {"name": "autoperf", "version": version}
    yield '{"resourceSpans":['
    first = True
    for rows, resources in traces:
        for pid in dict.fromkeys(row.pid for row in rows):
            described = {names.SERVICE_NAME: names.DEFAULT_SERVICE, **resources.get(pid, {})}
            spans = [_span(row) for row in rows if row.pid == pid]
            one = {
                "resource": {"attributes": _attributes(described)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
            yield ("" if first else ",") + to_text(one)
            first = False
    yield "]}\n"


def _span(row: SpanRow) -> dict[str, Any]:
    span = {
        "traceId": row.trace_id,
        "spanId": row.span_id,
        "name": row.name,
        "kind": _KINDS.get(row.kind, 0),
        "startTimeUnixNano": str(row.start_ns),
        "endTimeUnixNano": str(max(row.start_ns, row.end_ns)),
        "attributes": _attributes(row.attributes),
        "status": {"code": _STATUS.get(row.status, 0)} if row.status != "unset" else {},
    }
    if row.parent_id:
        span["parentSpanId"] = row.parent_id
    if row.links:
        span["links"] = [{"traceId": trace_id, "spanId": span_id} for trace_id, span_id in row.links]
    return span


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(shareable(value))} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": value}
