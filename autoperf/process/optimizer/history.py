"""The actions that read the local store: history (this period against the one before), report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from autoperf.errors import AutoperfError
from autoperf.errors.wording import count, milliseconds, percent
from autoperf.insight.compare.collect import Selection, periods
from autoperf.insight.compare.differences import BETTER, TAIL, WORSE, Difference, differences
from autoperf.insight.compare.measurements import TOO_FEW
from autoperf.insight.compare.periods import Figures, Period
from autoperf.insight.report.collect import collect
from autoperf.insight.report.html import page
from autoperf.insight.traces.layers import LAYERS
from autoperf.insight.traces.timings import Timing
from autoperf.instrumentation.agentzero.tool import Call
from autoperf.process.atomic_write import replaced
from autoperf.process.optimizer.arguments import number
from autoperf.process.optimizer.markdown import cell, table
from autoperf.process.runtime import Runtime
from autoperf.telemetry import names

_HOURS: Final = 24.0
_MOST_HOURS: Final = 24.0 * 31
_ROWS: Final = 12
_REPORTED: Final = 50
_HEAD: Final = ("calls", "errors", "median", "p95", "before", "difference")
_MEASURED: Final = 4  # of them without a period before
FILE_NAME: Final = "report.html"
_WORDS: Final = {WORSE: "slower", BETTER: "faster"}


def history(runtime: Runtime, call: Call) -> str:
    """``hours``: the length of a period; tools and models of the last one beside those of the one before."""
    hours = number(call.arguments, "hours", 0.05, _MOST_HOURS) or _HOURS
    _flush(runtime)
    until, seconds = time.time(), hours * 3600
    last = Selection("the last", since=until - seconds, until=until)
    earlier = Selection("the one before", since=until - 2 * seconds, until=until - seconds)
    before, now = periods(runtime.config.state_dir, [earlier, last])
    lines = [
        f"Messages of the last {hours:g} h: {_messages(now)}; of the {hours:g} h before: {_messages(before)}."
    ]
    rows_told = differences(before, now)
    told = {row.key: row for row in rows_told if row.quantity == "duration"}
    tails = {row.key: row for row in rows_told if row.quantity == TAIL}
    # Without anything before there is nothing to be told apart.
    shown = len(_HEAD) if before.spans else _MEASURED
    for kind, what in ((names.EXECUTE_TOOL, "tool"), (names.CHAT, "model")):
        figures = [row for row in now.figures(kind) if row.key.quantity == "duration"][:_ROWS]
        rows = table(
            (what, *_HEAD[:shown]),
            (_row(row, told.get(row.key), tails.get(row.key))[: shown + 1] for row in figures),
        )
        lines += ["", *rows] if rows else []
    if before.spans:
        lines.append("Before: calls and median. A difference is told where chance is below 5 % (rank test).")
    return "\n".join(lines)


def _messages(period: Period) -> str:
    return count(period.tally.messages)


def _row(now: Figures, told: Difference | None, tail: Difference | None) -> tuple[str, ...]:
    return (
        cell(now.key.name, 40),
        count(now.count),
        percent(now.error_rate),
        milliseconds(now.p50),
        milliseconds(now.p95),
        "-" if told is None else f"{count(told.before.count)}, {milliseconds(told.before.p50)}",
        _difference(told, tail),
    )


def _difference(told: Difference | None, tail: Difference | None) -> str:
    if told is None:
        return "new"
    if told.verdict not in _WORDS and tail is not None:
        return f"**p95 {_WORDS[tail.verdict]}**, was {milliseconds(tail.before.p95)}"
    if told.verdict not in _WORDS:
        return TOO_FEW if told.verdict == TOO_FEW else "none beyond chance"
    if told.ratio is None:
        return f"**{_WORDS[told.verdict]}**"
    between = f"(95 %: {told.low:.2f} to {told.high:.2f})"
    return f"**{told.ratio:.2f}x, {_WORDS[told.verdict]}** {between}"


def report(runtime: Runtime, _call: Call) -> str:
    """The page of `autoperf report --html` in the state directory, and its headlines."""
    _flush(runtime)
    directory = runtime.config.state_dir
    found = collect(directory, _REPORTED)
    path = directory / FILE_NAME
    _write(path, page(found))
    seconds = [trace.summary.seconds for trace in found.traces if trace.summary.by_user]
    messages = found.total("messages") or 0
    lines = [
        f"Written: {path}",
        f"{count(messages)} messages, {count(len(found.traces) - messages)} other traces, "
        f"{count(sum(trace.summary.name is None for trace in found.traces))} of all go on; "
        f"{count(found.spans)} spans; {found.tokens.text}".rstrip("; "),
    ]
    if seconds:
        lines.append(f"a message took {milliseconds(1000 * median(seconds))} (median)")
    total = sum(found.layers.values())
    if total:
        shares = sorted(found.layers.items(), key=lambda item: -item[1])[:5]
        lines.append(
            "time: " + ", ".join(f"{LAYERS[name]} {seconds / total:.0%}" for name, seconds in shares)
        )
    lines += ["", *table(("tool", "calls", "errors", "median", "p95"), map(_timed, found.tools), 6)]
    lines += ["", *table(("model", "calls", "errors", "median", "p95"), map(_timed, found.models), 4)]
    return "\n".join(lines).rstrip()


def _timed(timing: Timing) -> tuple[str, ...]:
    return (
        cell(timing.name, 40),
        count(timing.count),
        count(timing.errors),
        milliseconds(timing.p50_ms),
        milliseconds(timing.p95_ms),
    )


def _flush(runtime: Runtime) -> None:
    if runtime.telemetry is not None:
        runtime.telemetry.flush()


def _write(path: Path, parts: Iterator[str]) -> None:
    try:
        replaced(path, parts)
    except OSError as error:
        raise AutoperfError(f"{path} cannot be written: {error.strerror}") from None
