"""Traces as Jaeger's query API answers with them: a file that Jaeger's UI opens by upload.

Source: Jaeger, ``model/json/model.go``; times in us since the epoch, ids in hex.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from autoperf.insight.export.values import Described, shareable, to_text
from autoperf.telemetry import names
from autoperf.telemetry.store.tables import SpanRow

_TYPES: Final = {bool: "bool", int: "int64", float: "float64", str: "string"}


def pieces(traces: Iterable[Described], version: str) -> Iterator[str]:
    """The text of one file with ``traces``, one by one; ``version`` is ours, for the spans' scope."""
    scope = [_tag("otel.scope.name", "autoperf"), _tag("otel.scope.version", version)]
    yield '{"data":['
    first = True
    for rows, resources in traces:
        if rows:
            yield ("" if first else ",") + to_text(_trace(rows, resources, scope))
            first = False
    yield '],"total":0,"limit":0,"offset":0,"errors":null}\n'


def _trace(
    rows: Sequence[SpanRow], resources: Mapping[int, Mapping[str, Any]], scope: list[dict[str, Any]]
) -> dict[str, Any]:
    keys = {pid: f"p{number}" for number, pid in enumerate(dict.fromkeys(row.pid for row in rows), 1)}
    return {
        "traceID": rows[0].trace_id,
        "spans": [_span(row, keys[row.pid], scope) for row in rows],
        "processes": {key: _process(resources.get(pid, {})) for pid, key in keys.items()},
        "warnings": None,
    }


def _process(resource: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in resource.items() if key != names.SERVICE_NAME}
    return {
        "serviceName": str(resource.get(names.SERVICE_NAME) or names.DEFAULT_SERVICE),
        "tags": [_tag(key, value) for key, value in rest.items()],
    }


def _span(row: SpanRow, process: str, scope: list[dict[str, Any]]) -> dict[str, Any]:
    references = [("CHILD_OF", row.trace_id, row.parent_id)] if row.parent_id else []
    references += [("FOLLOWS_FROM", trace_id, span_id) for trace_id, span_id in row.links]
    tags = [_tag(key, value) for key, value in row.attributes.items()]
    tags += [*scope, _tag("span.kind", row.kind)]
    if row.status != "unset":
        tags.append(_tag("otel.status_code", row.status.upper()))
    if row.status == "error":
        tags.append(_tag("error", True))
    return {
        "traceID": row.trace_id,
        "spanID": row.span_id,
        "flags": 1,
        "operationName": row.name,
        "references": [
            {"refType": kind, "traceID": trace_id, "spanID": span_id}
            for kind, trace_id, span_id in references
        ],
        "startTime": row.start_ns // 1000,
        "duration": max(0, row.end_ns - row.start_ns) // 1000,
        "tags": tags,
        "logs": [],
        "processID": process,
        "warnings": ["The process ended before this span did."]
        if row.attributes.get(names.CUT_OFF)
        else None,
    }


def _tag(key: str, value: Any) -> dict[str, Any]:
    plain = shareable(value)
    if isinstance(plain, list):
        plain = json.dumps(
            plain, separators=(",", ":"), ensure_ascii=False
        )  # as Jaeger itself shows the lists of OTLP
    return {"key": key, "type": _TYPES[type(plain)], "value": plain}
