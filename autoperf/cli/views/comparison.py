"""Periods and their differences as lines of text: pure functions from data to lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from autoperf.cli.views.traces import columned
from autoperf.errors.wording import count, milliseconds, percent, printable
from autoperf.insight.compare.collect import Comparison
from autoperf.insight.compare.differences import ALIKE, ERRORS, TAIL, Difference
from autoperf.insight.compare.measurements import NEEDED, TOO_FEW
from autoperf.insight.compare.periods import PROCESS, Figures, Period
from autoperf.insight.facts.tally import PARTLY
from autoperf.insight.traces.layers import LAYERS, OF_A_CALL
from autoperf.telemetry import names

# Columns that a name is told apart by: its beginning and its end.
_LEAST: Final = 26
_NARROW: Final = 72
_QUIET: Final = (ALIKE, TOO_FEW)
# Short, so that a narrow terminal has room for the names.
_VERDICTS: Final = {ALIKE: "alike", TOO_FEW: "too few"}
_KINDS: Final = {
    names.MESSAGE: "message",
    names.INVOKE_AGENT: "agent",
    names.PREPARE_PROMPT: "prompt",
    names.CHAT: "model",
    names.EXECUTE_TOOL: "tool",
    **{layer: LAYERS[layer] for layer in OF_A_CALL},
}
_EXPLAINED: Final = (
    "Before and after: medians; p95: of both, in a row of its own where only the slowest changed. Ratio: "
    "after / before, with its 95 % interval. Measurements that resemble the ones before them count for less "
    "than their number."
)


def comparison_lines(found: Comparison, width: int, *, everything: bool) -> list[str]:
    """What differs between two periods; with ``everything`` also what does not, or cannot be told."""
    shown = [row for row in found.differences if everything or row.verdict not in _QUIET]
    lines = [_headline("before", found.before, width), _headline("after", found.after, width), ""]
    if shown:
        head = ("", "what", "of", "n", "before", "after", "p95", "ratio", "interval", "p")
        rows = [_cells(row) for row in shown]
        lines += _tabled(
            head, rows, width, numbers=7, elastic=("what",), spare=("p95", "p", "n", "interval", "ratio")
        )
        lines += ["", *textwrap.wrap(_EXPLAINED, width)]
    else:
        lines.append("Nothing changed that is more than chance.")
    hidden = [
        f"{sum(row.verdict == verdict for row in found.differences):,} {words}"
        for verdict, words in ((ALIKE, "without a change shown"), (TOO_FEW, f"with too few ({NEEDED})"))
        if not everything and any(row.verdict == verdict for row in found.differences)
    ]
    if hidden:
        lines += textwrap.wrap(f"Not listed: {', '.join(hidden)}; --all shows them.", width)
    return lines


def _headline(word: str, one: Period, width: int) -> str:
    return textwrap.shorten(
        f"{word:<7}{printable(one.label)}: {one.tally.messages:,} messages, {one.spans:,} spans, "
        f"{one.samples:,} samples, {one.stalls:,} stalls",
        width,
        placeholder=" ..",
    )


def _cells(row: Difference) -> tuple[str, ...]:
    kind = _KINDS.get(row.key.kind, row.key.kind)
    what = " ".join(filter(None, (kind, printable(row.key.name))))
    number = f"{row.before.count:,}/{row.after.count:,}"
    before, after = (shown(row.quantity, one) for one in (row.before, row.after))
    tails = "-"
    if row.quantity not in (ERRORS, TAIL):
        tails = " / ".join(_measure(row.quantity, one.p95) for one in (row.before, row.after))
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}x"
    reach = "-" if row.low is None or row.high is None else f"{row.low:.2f}-{row.high:.2f}"
    p = "-" if row.p is None else f"{row.p:.3f}" if row.p >= 0.001 else "<0.001"
    return (
        _VERDICTS.get(row.verdict, row.verdict),
        what,
        "-" if row.quantity == "duration" else row.quantity,
        number,
        before,
        after,
        tails,
        ratio,
        reach,
        p,
    )


def shown(quantity: str, figures: Figures | None) -> str:
    """The median of a quantity with its unit, of a tail its begin, of an error rate the share that failed."""
    if figures is None:
        return "-"
    if quantity == ERRORS:
        return percent(figures.error_rate)
    return _measure(quantity, figures.p95 if quantity == TAIL else figures.p50)


def _measure(quantity: str, value: float) -> str:
    if quantity == "memory":
        return f"{value / 2**20:,.0f} MiB"
    if quantity == "cpu":
        return f"{value:.2f} cores"
    return count(value) if quantity.endswith("tokens") else milliseconds(value)


def period_lines(periods: Sequence[Period], width: int) -> list[str]:
    """A line for each period: its messages, what they used, and how the process was meanwhile."""
    head = (
        "period", "messages", "failed", "p50", "p95", "tools", "models", "tokens", "cpu", "memory", "stalls",
        "hits",
    )  # fmt: skip
    rows = [_period_cells(one) for one in periods]
    spare = ("models", "failed", "stalls", "hits", "cpu", "memory", "tokens")
    return _explained(_tabled(head, rows, width, numbers=11, elastic=(), spare=spare), width)


def _explained(lines: list[str], width: int) -> list[str]:
    partly = any("/" in line and "(" in line for line in lines[1:]) and "tokens" in lines[0]
    return [*lines, *textwrap.wrap(PARTLY, width)] if partly else lines


def _tabled(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    numbers: int,
    elastic: Sequence[str],
    spare: Sequence[str],
) -> list[str]:
    """`columned` without the columns that say nothing in any row; ``elastic`` and ``spare`` by name."""
    kept = [i for i, name in enumerate(head) if name in elastic or any(row[i] != "-" for row in rows)]
    names_kept = [head[i] for i in kept]
    places = {name: at for at, name in enumerate(names_kept)}
    return columned(
        names_kept,
        [[row[i] for i in kept] for row in rows],
        width,
        numbers=sum(i >= len(head) - numbers for i in kept),
        elastic=[places[name] for name in elastic],
        least=_LEAST if width >= _NARROW else _LEAST // 2,
        spare=[places[name] for name in spare if name in places],
    )


def _period_cells(one: Period) -> tuple[str, ...]:
    messages, tools, models = (one.of(kind) for kind in (names.MESSAGE, names.EXECUTE_TOOL, names.CHAT))
    sampled = {row.key.quantity: row for row in one.figures(PROCESS)}
    failed = sum(row.failed or 0 for row in (messages, tools, models) if row)
    return (
        printable(one.label),
        count(one.tally.messages),
        count(failed),
        milliseconds(messages.p50 if messages else None),
        milliseconds(messages.p95 if messages else None),
        count(one.tally.tool_calls),
        count(one.tally.model_calls),
        one.tally.tokens.cell,
        shown("cpu", sampled.get("cpu")),
        shown("memory", sampled.get("memory")),
        count(one.stalls),
        percent(one.hits / one.lookups) if one.lookups else "-",
    )


def thing_lines(periods: Sequence[Period], kind: str, width: int, name: str | None = None) -> list[str]:
    """For each period the things of one kind, or that of ``name``: counts, failures, percentiles, tokens."""
    rows = []
    for one in periods:
        for row in one.figures(kind):
            if row.key.quantity != "duration" or name not in (None, row.key.name):
                continue
            rows.append(
                (
                    printable(one.label),
                    printable(row.key.name or _KINDS.get(kind, kind)),
                    count(row.count),
                    percent(row.error_rate),
                    milliseconds(row.p50),
                    milliseconds(row.p95),
                    milliseconds(row.total),
                    one.tokens(row.key.name).cell if kind == names.CHAT else "-",
                )
            )
    what = _KINDS.get(kind, kind)
    head = ("period", what, "calls", "failed", "p50", "p95", "total", "tokens")
    spare = ("total", "p95", "failed", "tokens")
    return _explained(_tabled(head, rows, width, numbers=6, elastic=(what,), spare=spare), width)
