"""The sections of a report that are numbers: layers, timings, caches, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from autoperf.errors.wording import count, milliseconds, percent
from autoperf.insight.compare.differences import BETTER, FASTER, WORSE, Difference
from autoperf.insight.compare.measurements import NEEDED
from autoperf.insight.compare.periods import Key
from autoperf.insight.facts.caches import Cache
from autoperf.insight.report.html.markup import element, name, rect, section, stacked, table, text
from autoperf.insight.report.report import Report
from autoperf.insight.traces.layers import EXPLANATION, LAYERS
from autoperf.insight.traces.timings import FIRST_CHUNK, ONLY_IF_SLOW, PARTS, Timing
from autoperf.telemetry import names

_ROWS: Final = 25
_CHANGES: Final = 10


def facts(report: Report) -> str:
    """The numbers to see first."""
    seconds = sorted(trace.summary.seconds for trace in report.traces if trace.summary.by_user)
    used, tools = report.tokens, report.caches.get("tools")
    tiles = [
        ("user messages", count(report.total("messages"))),
        ("median message", milliseconds(seconds[(len(seconds) - 1) // 2] * 1000) if seconds else "-"),
        ("model calls", count(report.total("model_calls"))),
        ("tool calls", count(report.total("tool_calls"))),
        (f"tokens, in/out{', ' * bool(used.coverage)}{used.coverage}", used.cell.partition(" (")[0]),
        ("errors", count(report.total("errors"))),
        ("tool look-ups kept", percent(tools.hit_rate if tools else None)),
    ]
    shown = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in tiles if value != "-")
    return f'<dl class="tiles">{shown}</dl>\n'


def layers(report: Report) -> str:
    """One bar and its legend, and what autoperf itself cost."""
    total = sum(report.layers.values())
    rows = "".join(
        f'<li><s class="{layer}"></s><span>{LAYERS[layer]}{_of_it(report, layer)}</span>'
        f"<b>{milliseconds(seconds * 1000)}</b>"
        f"<i>{percent(seconds / total)}</i></li>"
        for layer, seconds in sorted(report.layers.items(), key=lambda item: -item[1])
    )
    own = report.own
    if own is not None and total:
        rows += (
            f'<li class="own"><s class="own"></s><span>{text(own.line())}</span>'
            f"<b>{milliseconds(own.running * 1000)}</b><i></i></li>"
        )
    bar = stacked(report.layers, total, "whole")
    return section("By layer", f'{bar}<ul class="legend">{rows}</ul>', EXPLANATION) if total else ""


def _of_it(report: Report, layer: str) -> str:
    told = report.details(layer)
    return f" <small>({text(told)})</small>" if told else ""


def changes(report: Report) -> str:
    """Before and after, when there is something to compare with."""
    before = report.before
    if before is None:
        return ""
    now = report.total("messages") or 0
    lead = (
        f"Before: {text(before.description)}, {before.messages:,} messages. After: {now:,} messages. "
        f"{FASTER} Only runs that did "
        "the same, on a machine as busy, can be compared; look at the counts. Extensions are left out: they "
        f"have a span only where they took long. {NEEDED.capitalize()}."
    )
    rows = [
        (
            _what(one.key),
            f"{one.before.count:,} / {one.after.count:,}",
            _pair(one),
            f"{milliseconds(one.before.p50)} → {milliseconds(one.after.p50)}",
            f"{milliseconds(one.before.p95)} → {milliseconds(one.after.p95)}",
            _ratio(one),
        )
        for one in before.changes[: 4 * _ROWS]
    ]
    head = ("", "count", "", "p50", "p95", "faster")
    body = table(head, rows[:_CHANGES], 3) if rows else "<p>Nothing was recorded in both.</p>"
    if rest := rows[_CHANGES:]:
        body += (
            f'<details><summary class="more">and {len(rest)} more</summary>{table(head, rest, 3)}</details>'
        )
    return section("Before and after", body, lead)


def timings(report: Report) -> str:
    """Tools and models by percentiles."""
    first = {row.name: row for row in report.timings.rows(FIRST_CHUNK)}
    models = report.models
    body = _timings("tool", report.tools)
    if models:
        rows = [
            (*cells, _median(first.get(row.name)))
            for row, cells in zip(models[:_ROWS], _cells(models), strict=False)
        ]
        head = ("model", "", "calls", "failed", "p50", "p95", "max", "total", "first chunk, p50")
        body += table(head, rows, 7)
    return section("Tools and models", body, "Bars: the median, the 95th percentile, the maximum.")


def others(report: Report) -> str:
    """Everything else that has a span."""
    apart = (names.EXECUTE_TOOL, names.CHAT, *PARTS)
    rows = [row for row in report.timings.rows() if row.kind not in apart]
    lead = "Extensions, their points and compressing have a span only where they took long: numbers of those."
    slow = any(row.kind in ONLY_IF_SLOW for row in rows)
    return section("Everything else, by total time", _timings("span", rows), lead if slow else "")


def caches(report: Report) -> str:
    """What was found kept, by the counters of the processes that recorded these traces."""
    lookups = [
        (text(one.name), count(one.lookups), count(one.hits), count(one.misses), _share(one))
        for one in report.caches.values()
        if one.lookups
    ]
    kept = [
        (
            text(one.name),
            f"{count(one.currsize)} of {count(one.maxsize)}",
            *map(count, (one.loads, one.evictions, one.invalidations, one.reexecutions)),
            _milli(one.seconds_loading),
            _milli(one.seconds_saved),
        )
        for one in report.caches.values()
        if one.stores
    ]
    body = table(("look-ups", "calls", "hits", "misses", "hit rate"), lookups, 4) if lookups else ""
    if kept:
        head = ("cache", "kept", "loads", "evicted", "stale", "re-run", "loading", "saved")
        body += table(head, kept, 7)
    several = f"{len(report.processes):,} processes" if len(report.processes) != 1 else "the process"
    return section("Caches", body, f"Counted by {several} behind these traces, from start to end.")


def _timings(heading: str, rows: Sequence[Timing]) -> str:
    if not rows:
        return ""
    more = len(rows) - _ROWS
    head = (heading, "", "calls", "failed", "p50", "p95", "max", "total")
    shown = table(head, _cells(rows), 6)
    return shown + (element("p", f"and {more:,} more, of less time", "more") if more > 0 else "")


def _cells(rows: Sequence[Timing]) -> list[tuple[str, ...]]:
    scale = max(row.max_ms for row in rows)
    return [
        (
            _what(row) if row.kind not in (names.EXECUTE_TOOL, names.CHAT) else name(row.name or row.kind),
            _range(row, scale),
            count(row.count),
            element("span", count(row.errors), "bad") if row.errors else "0",
            *(milliseconds(value) for value in (row.p50_ms, row.p95_ms, row.max_ms, row.total_ms)),
        )
        for row in rows[:_ROWS]
    ]


def _range(row: Timing, scale: float) -> str:
    if scale <= 0:
        return ""
    bars = (
        rect(0, row.max_ms / scale, "far", top=40, height=20)
        + rect(0, row.p95_ms / scale, "p95", top=25, height=50)
        + rect(0, row.p50_ms / scale, "p50", top=10, height=80)
    )
    return f'<svg class="range" role="img" aria-label="p50, p95, max">{bars}</svg>'


def _pair(one: Difference) -> str:
    scale = max(one.before.p50, one.after.p50)
    if scale <= 0:
        return ""
    bars = rect(0, one.before.p50 / scale, "far", top=8, height=36)
    bars += rect(0, one.after.p50 / scale, "p50", top=54, height=36)
    return f'<svg class="range" role="img" aria-label="p50 before and after">{bars}</svg>'


def _what(row: Timing | Key) -> str:
    return f"{text(row.kind)} {name(row.name)}" if row.name else text(row.kind)


def _ratio(one: Difference) -> str:
    # A colour is a claim: not for what may be noise.
    return element("span", one.speedup, {BETTER: "good", WORSE: "bad"}.get(one.verdict, ""))


def _median(row: Timing | None) -> str:
    return milliseconds(row.p50_ms) if row else "-"


def _share(one: Cache) -> str:
    share = one.hit_rate
    if share is None or one.why:
        return text(one.why or "-")
    return f'<svg class="rate" aria-hidden="true">{rect(0, share, "p50")}</svg> {percent(share)}'


def _milli(seconds: float | None) -> str:
    return milliseconds(None if seconds is None else seconds * 1000)
