"""Traces in OTLP's JSON encoding, one ``ExportTraceServiceRequest``: for Jaeger and every OTLP/HTTP endpoint.

Source: OpenTelemetry protocol specification, JSON Protobuf encoding: ids in hex, 64-bit integers as
strings, enumerations as numbers, keys in lowerCamelCase.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autoperf.insight.values import Described, shareable
from autoperf.tables import SpanRow
from autoperf.telemetry import names

_KINDS: Final = {names.INTERNAL: 1, names.SERVER: 2, names.CLIENT: 3, names.PRODUCER: 4, names.CONSUMER: 5}
_STATUS: Final = {"unset": 0, "ok": 1, "error": 2}


def document(traces: Sequence[Described], version: str) -> dict[str, Any]:
    """One request for all ``traces``; ``version`` is ours: that of the spans' instrumentation scope."""
    groups: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    for rows, resources in traces:
        # By process; the same process in several traces is one resource.
        keys = {}
        for pid in {row.pid for row in rows}:
            described = _attributes({names.SERVICE_NAME: names.DEFAULT_SERVICE, **resources.get(pid, {})})
            keys[pid] = json.dumps(described)
            groups.setdefault(keys[pid], (described, []))
        for row in rows:
            groups[keys[row.pid]][1].append(_span(row))
    scope = {"name": "autoperf", "version": version}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": described},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
            for described, spans in groups.values()
        ]
    }


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
