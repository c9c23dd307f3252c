"""Traces, layers and reports as lines of text: pure functions from data to lines."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from autoperf.cli.views.terminal import columns, cut, fitted, squeezed
from autoperf.errors.wording import count, milliseconds, percent, printable
from autoperf.insight.compare.differences import FASTER, Difference
from autoperf.insight.compare.measurements import NEEDED, TOO_FEW
from autoperf.insight.facts.tally import PARTLY
from autoperf.insight.report.report import Report
from autoperf.insight.traces.layers import LAYERS
from autoperf.insight.traces.summary import Summary
from autoperf.insight.traces.timings import Timing

_ID_SHOWN: Final = 8
_ROWS: Final = 15
_NARROWEST: Final = 8
_BAR: Final = 24


def listed(traces: Sequence[Summary], width: int) -> list[str]:
    """A table of traces in ``width`` columns."""
    day = time.strftime("%Y-%m-%d")
    rows = [
        (
            one.trace_id[:_ID_SHOWN],
            _when(one.start_ns, day),
            printable(one.chat or "-"),
            what(one),
            milliseconds(one.seconds * 1000),
            count(one.tool_calls),
            one.tokens.cell,
            count(one.errors),
        )
        for one in traces
    ]
    head = ("id", "when", "chat", "agent", "duration", "tools", "tokens", "errors")
    lines = columned(head, rows, width, numbers=4, elastic=(3, 2), spare=(6, 5, 2, 3))
    partly = any("(" in one.tokens.cell for one in traces) and "tokens" in lines[0]
    return [*lines, *(noted([PARTLY], width) if partly else [])]


def headline(one: Summary, width: int) -> list[str]:
    """One trace in two lines, more where the terminal is narrow."""
    who = ", ".join(map(printable, one.agents)) or "-"
    first = f"{one.trace_id}  {_when(one.start_ns, '')}"
    facts = [
        f"chat {printable(one.chat)}" if one.chat else "",
        f"agents {who}" if len(one.agents) > 1 else f"agent {who}",
        milliseconds(one.seconds * 1000),
        f"{one.spans:,} spans",
        f"{one.tool_calls:,} tools",
        one.tokens.text,
        f"{one.errors:,} errors" if one.errors else "",
    ]
    return _wrapped(first, ", ".join(fact for fact in facts if fact), width=width)


def what(one: Summary) -> str:
    """The agents of a user's message; of other traces the name of their root."""
    if one.by_user:
        return printable(", ".join(one.agents) or "-")
    return "(" + printable(one.name or ("cut off" if one.cut_off else "still open")) + ")"


def layer_lines(
    layers: Mapping[str, float], width: int, told: Callable[[str], str] = lambda _layer: ""
) -> list[str]:
    """Where the time went: a bar, seconds and share a layer, and what is ``told`` of it below."""
    total = sum(layers.values())
    if not total:
        return []
    longest = max(0, min(_BAR, width - 46))
    lines = []
    for layer, seconds in sorted(layers.items(), key=lambda item: -item[1]):
        name = fitted(LAYERS[layer], min(24, width - 19))
        line = f"  {name}{milliseconds(seconds * 1000):>9}{percent(seconds / total):>8}  "
        lines.append((line + "#" * round(longest * seconds / total)).rstrip())
        more = printable(told(layer))
        lines += textwrap.wrap(more, width, initial_indent="    ", subsequent_indent="    ") if more else []
    return lines


def columned(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int,
    *,
    numbers: int,
    elastic: Sequence[int],
    spare: Sequence[int] = (),
    least: int = _NARROWEST,
) -> list[str]:
    """A table of `printable` cells; the last ``numbers`` columns to the right, ``elastic`` are cut to fit.

    Where that is not enough, the ``spare`` ones are left out, one by one; ``least`` is what is left of a cut
    one: its beginning, or of more than so little its beginning and its end.
    """
    cells = [list(head), *(list(row) for row in rows)]
    widths = {i: max(columns(row[i]) for row in cells) for i in range(len(head))}
    narrow = {i: min(size, least) if i in elastic else size for i, size in widths.items()}
    for i in spare:
        if _total(narrow) > width:
            del widths[i], narrow[i]
    for i in elastic:
        if i in widths:
            widths[i] = max(narrow[i], widths[i] - max(_total(widths) - width, 0))
    shorter = cut if least <= _NARROWEST else squeezed
    lines = []
    for row in cells:
        shown = [
            cut(row[i], size).rjust(size) if i >= len(head) - numbers else fitted(shorter(row[i], size), size)
            for i, size in widths.items()
        ]
        lines.append("  ".join(shown).rstrip())
    return lines


def _total(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + 2 * len(widths) - 2


def report_lines(report: Report, width: int) -> list[str]:
    """A report without a page: layers, tools, models, caches, before and after."""
    messages = report.total("messages")
    seconds = sum(trace.summary.seconds for trace in report.traces)
    lines = [
        *_wrapped(
            f"{count(len(report.traces))} traces, {count(messages)} of them user messages, "
            f"{milliseconds(seconds * 1000)} in all, {count(report.total('tool_calls'))} tool calls, "
            f"{count(report.total('model_calls'))} model calls, {count(report.total('errors'))} errors",
            report.tokens.text,
            *report.process_lines,
            width=width,
        ),
        "",
        "where the time went",
        *layer_lines(report.layers, width, report.details),
    ]
    if report.own is not None:
        lines += textwrap.wrap(report.own.line(), width, initial_indent="  ", subsequent_indent="  ")
    for heading, timings in (("tool", report.tools), ("model", report.models)):
        lines += ["", *_timings(heading, timings, width)] if timings else []
    lookups = [
        (printable(name), count(one.lookups), count(one.hits), percent(one.hit_rate))
        for name, one in report.caches.items()
        if one.lookups
    ]
    if lookups:
        lines += [
            "",
            *columned(("lookups", "calls", "hits", "hit rate"), lookups, width, numbers=3, elastic=(0,)),
            *_wrapped(*(f"{printable(n)}: {o.why}" for n, o in report.caches.items() if o.why), width=width),
        ]
    if report.before is not None:
        before = f"before: {report.before.description}, {report.before.messages:,} messages"
        lines += ["", *_wrapped(before, width=width)]
        lines += _changes(report.before.changes, width)
    return lines + noted(report.left_out, width)


def noted(sentences: Iterable[str], width: int) -> list[str]:
    """What is missing or odd, each sentence as a note."""
    return _wrapped(*(f"note: {sentence}" for sentence in sentences), width=width)


def _wrapped(*texts: str, width: int) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, width)]


def _timings(heading: str, timings: Sequence[Timing], width: int) -> list[str]:
    rows = [
        (
            printable(row.name or row.kind),
            count(row.count),
            count(row.errors),
            *(milliseconds(value) for value in (row.p50_ms, row.p95_ms, row.max_ms, row.total_ms)),
        )
        for row in timings[:_ROWS]
    ]
    head = (heading, "calls", "errors", "p50", "p95", "max", "total")
    more = [f"and {len(timings) - _ROWS:,} more: see --json"] if len(timings) > _ROWS else []
    return [*columned(head, rows, width, numbers=6, elastic=(0,), spare=(5, 2, 1)), *more]


def _changes(changes: Sequence[Difference], width: int) -> list[str]:
    if not changes:
        return ["  nothing was recorded in both"]
    rows = [
        (
            printable(f"{one.key.kind} {one.key.name}".rstrip()),
            f"{one.before.count:,}/{one.after.count:,}",
            f"{milliseconds(one.before.p50)} -> {milliseconds(one.after.p50)}",
            f"{milliseconds(one.before.p95)} -> {milliseconds(one.after.p95)}",
            one.speedup,
        )
        for one in changes[:_ROWS]
    ]
    head = ("before -> after", "calls", "p50", "p95", "faster")
    advice = f"{FASTER} Only runs that did the same, on a machine as busy, can be compared."
    advice += f" {TOO_FEW.capitalize()}: {NEEDED}." if any(one.verdict == TOO_FEW for one in changes) else ""
    table = columned(head, rows, width, numbers=4, elastic=(0,), spare=(3, 1, 2))
    return [*table, *_wrapped(advice, width=width)]


def _when(start_ns: int, today: str) -> str:
    local = time.localtime(start_ns / 1e9)
    if time.strftime("%Y-%m-%d", local) == today:
        return time.strftime("%H:%M:%S", local)
    return time.strftime("%m-%d %H:%M" if today else "%Y-%m-%d %H:%M:%S", local)
