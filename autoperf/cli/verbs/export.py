"""Write traces from the local store to a file that others open.

`jaeger` is what Jaeger's UI opens by upload (Search, Upload); `otlp-json` opens
there too, and is what any OTLP/HTTP endpoint takes at /v1/traces as
application/json. Paths in the home directory are shortened to ~.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from typing import Any, Final

from autoperf.cli.arguments import directory, home_argument, whole, written
from autoperf.errors import AutoperfError, say
from autoperf.insight.export import jaeger, otlp_json
from autoperf.insight.export.values import Described
from autoperf.insight.facts.recorder import recorder
from autoperf.insight.history import SPANS_READ, History
from autoperf.insight.traces.layers import with_sums
from autoperf.insight.traces.summary import Summary
from autoperf.telemetry.store.tables import SpanRow
from autoperf.version import __version__

FORMATS: Final = ("jaeger", "otlp-json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[ID...] [--format FORMAT] [--last N] [--output FILE] [--home DIR]``."""
    parser.add_argument("ids", metavar="ID", nargs="*", help="default: the newest user message")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="default: jaeger")
    parser.add_argument("--last", metavar="N", type=whole, help="the last N traces instead")
    parser.add_argument("--output", "-o", metavar="FILE", default="-", help="default: stdout")
    home_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write one document; exit 1 when a trace is not there or the file cannot be written."""
    if args.ids and args.last:
        raise AutoperfError("give ids, or --last N, not both")
    with History(directory(args.home)) as history:
        chosen = _chosen(history, args.ids, args.last)
        processes = history.processes()
        # Read one by one as they are written: a store may hold more than fits into memory as objects.
        traces = (_described(history.spans(one.trace_id), processes) for one in chosen)
        form = jaeger if args.format == "jaeger" else otlp_json
        written(args.output, form.pieces(traces, __version__))
    for one in chosen:
        if one.spans > SPANS_READ:
            say(f"trace {one.trace_id}: the first {SPANS_READ:,} of {one.spans:,} spans")
    return 0


def _chosen(history: History, ids: Sequence[str], last: int | None) -> list[Summary]:
    if last:
        found = list(itertools.islice(history.traces(), last))
        if not found:
            history.find(None)
        return found
    by_id = {one.trace_id: one for one in map(history.find, ids)}
    return list(by_id.values()) or [history.find(None)]


def _described(rows: Sequence[SpanRow], processes: Sequence[dict[str, Any]]) -> Described:
    """With the resource of each process as it recorded it; where that record has gone, none."""
    first = {row.pid: row.start_ns for row in reversed(rows)}
    known = recorder(processes)
    found = {pid: known(pid, start_ns / 1e9) or {} for pid, start_ns in first.items()}
    described = with_sums(rows) if rows else rows
    return described, {pid: process.get("resource") or {} for pid, process in found.items()}
