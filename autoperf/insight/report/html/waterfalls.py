"""The messages of a report, each with its waterfall."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from autoperf.errors.wording import count, milliseconds
from autoperf.insight.export.values import shareable
from autoperf.insight.report.html.markup import element, name, rects, stacked, text
from autoperf.insight.report.report import Report, TraceReport
from autoperf.insight.traces.waterfall import Bar, Waterfall
from autoperf.telemetry import names

_DEEPEST: Final = 12
_LEAD: Final = (
    "One trace is one message and all that answered it, or a piece of work in the background. A line under "
    "a bar: the end waited for it. <b>▸</b> and bold: the slowest path. Repeated quick spans are folded. "
    "Click a row for its attributes."
)


def messages(report: Report) -> Iterator[str]:
    """A section with one foldable trace after the other, the slowest message opened."""
    users = [trace for trace in report.traces if trace.summary.by_user and trace.waterfall]
    opened = max(users or report.traces, key=lambda trace: trace.summary.seconds)
    longest = max(trace.summary.seconds for trace in report.traces)
    yield f'<section id="traces"><h2>Traces</h2><p class="lead">{_LEAD}</p>'
    yield (
        '<p class="filter" hidden><input type="search" id="find" placeholder="chat, agent or tool" '
        'aria-label="show only traces with this text"> '
        '<label><input type="checkbox" id="failed"> failed only</label></p>\n'
    )
    beside = [trace for trace in report.traces if not trace.summary.by_user]
    for trace in report.traces:
        if beside and trace is beside[0]:
            state = " open" if len(beside) == len(report.traces) else ""
            heading = f"Background work, scheduled tasks, start-up, and what is still open: {len(beside):,}"
            yield f'<details class="beside"{state}><summary>{heading}</summary>\n'
        yield _trace(trace, longest, opened=trace is opened)
    if beside:
        yield "</details>\n"
    yield '<p class="none" hidden>No trace has that.</p></section>\n'


def _trace(trace: TraceReport, longest: float, *, opened: bool) -> str:
    one = trace.summary
    who = (
        ", ".join(one.agents) or "-"
        if one.by_user
        else one.name or ("cut off" if one.cut_off else "still open")
    )
    errors = f'<span class="bad">{one.errors:,} failed</span>' if one.errors else ""
    when = time.strftime("%m-%d %H:%M:%S", time.localtime(one.start_ns / 1e9))
    used = " ".join(one.tools)
    words = text(" ".join((one.chat or "", who, used, one.trace_id)).lower(), 2000)
    facts = [
        f"{count(one.tool_calls)} tools",
        one.tokens.text,
    ]
    heading = (
        f'<summary><span class="when">{when}</span><span class="who">{name(who)}'
        f"{' <i>chat ' + name(one.chat) + '</i>' if one.chat else ''}</span>"
        f"{stacked(trace.layers, longest, 'mini')}"
        f'<span class="took">{milliseconds(one.seconds * 1000)}</span>'
        f'<span class="what">{" · ".join(filter(None, facts))}</span>{errors or "<span></span>"}</summary>'
    )
    body = (
        _fall(trace.waterfall, one.trace_id)
        if trace.waterfall
        else "<p>Left out to keep this page small.</p>"
    )
    failed = ' data-failed="1"' if one.errors else ""
    state = " open" if opened else ""
    return f'<details class="trace"{state}{failed} data-words="{words}">{heading}{body}</details>\n'


def _fall(fall: Waterfall, trace_id: str) -> str:
    ticks = "".join(
        f'<text x="{share}%" y="12" class="{anchor}">{milliseconds(fall.seconds * share * 10)}</text>'
        for share, anchor in ((25, "m"), (50, "m"), (75, "m"), (100, "z"))
    )
    notes = "".join(element("li", text(note)) for note in fall.notes)
    return (
        f'<div class="fall"><div class="row axis"><span class="n"><code>{text(trace_id)}</code></span>'
        f'<svg aria-hidden="true">{ticks}</svg><span class="t"></span></div>'
        + "".join(map(_row, fall.bars))
        + "</div>"
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def _row(bar: Bar) -> str:
    kinds = ["row", *(["slow"] if bar.slowest else []), *(["err"] if bar.errors else [])]
    tags = "".join(f" <em>{tag}</em>" for tag in _tags(bar))
    head = (
        f'<span class="n d{min(bar.depth, _DEEPEST)}"><s class="{bar.layer}"></s>'
        f"{name(bar.label)}{tags}</span>"
        f'<svg aria-hidden="true">{rects(bar.pieces, bar.layer, top=18, height=52)}'
        f"{rects(bar.waited, 'wait', top=78, height=12)}</svg>"
        f'<span class="t">{milliseconds(bar.seconds * 1000)}</span>'
    )
    return f'<details class="{" ".join(kinds)}"><summary>{head}</summary>{_facts(bar)}</details>'


def _tags(bar: Bar) -> Sequence[str]:
    tags = [text(bar.note)] if bar.note else []
    if bar.errors:
        tags.append(f"{bar.errors:,} failed" if bar.count > 1 else "failed")
    if bar.cut_off:
        tags.append("cut off")
    if bar.hidden:
        tags.append(f"+{bar.hidden:,}")
    return tags


def _facts(bar: Bar) -> str:
    pairs: dict[str, Any] = {
        "begins at": milliseconds(bar.begins * 1000),
        "took": milliseconds(bar.seconds * 1000),
    }
    if bar.count > 1:
        pairs |= {"spans folded": count(bar.count), "the longest": milliseconds(bar.longest * 1000)}
    if bar.hidden:
        pairs["spans below, not shown"] = count(bar.hidden)
    attributes: Mapping[str, Any] = {key: shareable(value) for key, value in bar.attributes.items()}
    if attributes.get(names.ERROR_TYPE) is None and bar.errors and bar.count == 1:
        pairs["status"] = bar.status
    pairs |= attributes
    return (
        "<dl>"
        + "".join(f"<dt>{name(key)}</dt><dd>{name(value)}</dd>" for key, value in pairs.items())
        + "</dl>"
    )
