"""From the store to a report: which traces go in, what they are compared with, what is left out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.recorder import observes_only, recorder
from autoperf.insight.history import SPANS_READ, History
from autoperf.insight.processes import as_seen, ended_by_exec
from autoperf.insight.report.report import Report
from autoperf.insight.traces.summary import Summary
from autoperf.insight.traces.timings import Timings
from autoperf.insight.traces.tree import build
from autoperf.monitor.samples import samples, stalls
from autoperf.telemetry.redaction import homeless
from autoperf.telemetry.store.store import Store
from autoperf.version import __version__

# In one report; more would be neither read nor held in memory.
SPANS_IN_REPORT: Final = 200_000
# A sample comes every few seconds: the first and the last belong to what they stand beside.
_AROUND_S: Final = 10.0
_OBSERVED: Final = "traces recorded with --observe"


def collect(directory: Path, last: int, baseline: Path | None = None) -> Report:
    """The last ``last`` user messages in ``directory``, newest first, then as many other traces.

    Before/after: with ``baseline`` the traces of that directory are the "before". Without one, traces of
    processes that ran under ``--observe`` are, when others ran with more on; at most ``last`` of each.
    """
    with History(directory) as history:
        processes = ended_by_exec(history.processes())
        now, observed, skipped = _chosen(history, processes, last, split=baseline is None)
        if not now:
            raise AutoperfError(f"{homeless(str(history.path))} holds no trace yet")
        report = Report(homeless(str(directory)), time.time(), __version__)
        report.left_out += skipped
        report.left_out += _fill(report, history, now)
        if not report.traces:
            raise AutoperfError("the traces have just made room for newer ones: ask again")
        report.processes = _recorders(directory, processes, now)
        report.samples, report.stalls = _sampled(directory, report)
        if observed:
            messages, timings = _timed(history, observed)
            report.compare(_OBSERVED, messages, timings)
    if baseline is not None:
        with History(baseline) as history:
            chosen, _, _ = _chosen(history, (), last, split=False)
            messages, timings = _timed(history, chosen)
            report.compare(f"traces in {homeless(str(baseline))}", messages, timings)
    return report


def _chosen(
    history: History, processes: Sequence[Mapping[str, Any]], last: int, *, split: bool
) -> tuple[list[Summary], list[Summary], list[str]]:
    """The traces to report, those recorded under ``--observe`` apart when ``split``, and what is left out."""
    known = recorder(processes)
    groups: dict[tuple[bool, bool], list[Summary]] = {}
    older = 0
    for summary in history.traces():
        apart = split and observes_only(known(summary.pid, summary.start_ns / 1e9))
        group = groups.setdefault((apart, summary.by_user), [])
        if len(group) < last:
            group.append(summary)
        else:
            older += 1
    left_out = [f"Older traces: {older:,}; --last N takes more."] if older else []
    now, observed = (
        groups.get((apart, True), []) + groups.get((apart, False), []) for apart in (False, True)
    )
    return (now, observed, left_out) if now else (observed, [], left_out)


def _fill(report: Report, history: History, chosen: Sequence[Summary]) -> list[str]:
    cut = undrawn = unread = 0
    for summary in chosen:
        if report.spans >= SPANS_IN_REPORT:
            unread += 1
            continue
        rows = history.spans(summary.trace_id)
        if rows:  # it may have made room for newer ones since it was listed
            cut += max(0, summary.spans - len(rows)) if len(rows) == SPANS_READ else 0
            report.add(summary, rows)
            undrawn += report.traces[-1].waterfall is None
    return [
        sentence
        for number, sentence in (
            (unread, f"Traces after the first {SPANS_IN_REPORT:,} spans: {unread:,}."),
            (cut, f"Spans beyond the first {SPANS_READ:,} of a trace: {cut:,}."),
            (undrawn, f"Traces without a waterfall, to keep this page small: {undrawn:,}."),
        )
        if number
    ]


def _sampled(directory: Path, report: Report) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the monitor took while the processes of these traces were at them."""
    pids = {process.record.get("pid") for process in report.processes}
    since = min(trace.summary.start_ns for trace in report.traces) / 1e9 - _AROUND_S
    until = max(trace.summary.end_ns for trace in report.traces) / 1e9 + _AROUND_S
    with Store.open(directory) as store:
        return (
            [row for row in samples(store, since, until) if row["pid"] in pids],
            [row for row in stalls(store, since, until) if row["pid"] in pids],
        )


def _timed(history: History, chosen: Sequence[Summary]) -> tuple[int, Timings]:
    timings = Timings()
    read = 0
    for summary in chosen:
        rows = history.spans(summary.trace_id) if read < SPANS_IN_REPORT else []
        read += len(rows)
        if rows:
            timings.add(build(rows).spans())
    return sum(summary.messages for summary in chosen), timings


def _recorders(
    directory: Path, processes: Sequence[dict[str, Any]], chosen: Sequence[Summary]
) -> list[Process]:
    known = recorder(processes)
    found = {id(known(summary.pid, summary.start_ns / 1e9)) for summary in chosen}
    return [as_seen(directory, record) for record in processes if id(record) in found]
