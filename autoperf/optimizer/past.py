"""The actions that read the local store: history (this period against the one before), report."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from autoperf.agentzero.optimizer import Call
from autoperf.errors import AutoperfError
from autoperf.history import History
from autoperf.insight.significance import corrected, median_ratio, rank_sum
from autoperf.insight.statistics import Timing, Timings
from autoperf.insight.tree import build
from autoperf.optimizer.arguments import number
from autoperf.optimizer.markdown import cell, table
from autoperf.page import page
from autoperf.reporting import collect
from autoperf.runtime import Runtime
from autoperf.telemetry import names
from autoperf.wording import count, milliseconds, percent

_HOURS: Final = 24.0
_MOST_HOURS: Final = 24.0 * 31
_TRACES: Final = 1000
_SPANS: Final = 100_000
_ROWS: Final = 12
_REPORTED: Final = 50
_HEAD: Final = ("calls", "errors", "median", "p95", "before", "difference")
_MEASURED: Final = 4  # of them without a period before
FILE_NAME: Final = "report.html"
# What is called different by chance in one of twenty such tables.
_LEVEL: Final = 0.05


class _Period:
    """What the traces that began in one span of time were made of."""

    def __init__(self) -> None:
        self.timings = Timings()
        self.traces = 0


def history(runtime: Runtime, call: Call) -> str:
    """``hours``: the length of a period; tools and models of the last one beside those of the one before."""
    hours = number(call.arguments, "hours", 0.05, _MOST_HOURS) or _HOURS
    _flush(runtime)
    now, before, cut = _read(runtime.config.state_dir, time.time(), hours * 3600)
    lines = [
        f"Traces (of messages, tasks, background work) of the last {hours:g} h: {count(now.traces)}; of the "
        f"{hours:g} h before: {count(before.traces)}." + (" Only the newest were read." if cut else "")
    ]
    # Without anything before there is nothing to be told apart.
    shown = len(_HEAD) if before.traces else _MEASURED
    for kind, what in ((names.EXECUTE_TOOL, "tool"), (names.CHAT, "model")):
        rows = table((what, *_HEAD[:shown]), (row[: shown + 1] for row in _rows(kind, now, before)))
        lines += ["", *rows] if rows else []
    if before.traces:
        lines.append("Before: calls and median. A difference is told where chance is below 5 % (rank test).")
    return "\n".join(lines)


def _read(directory: Path, until: float, seconds: float) -> tuple[_Period, _Period, bool]:
    now, before, spans, read = _Period(), _Period(), 0, 0
    with History(directory) as stored:
        for summary in stored.traces():
            began = summary.start_ns / 1e9
            if began < until - 2 * seconds:
                break
            if read >= _TRACES or spans >= _SPANS:
                return now, before, True
            rows = stored.spans(summary.trace_id)
            read, spans = read + 1, spans + len(rows)
            if rows:
                period = now if began >= until - seconds else before
                period.timings.add(build(rows).spans())
                period.traces += 1
    return now, before, False


def _rows(kind: str, now: _Period, before: _Period) -> Iterator[tuple[str, ...]]:
    timings = now.timings.rows(kind)[:_ROWS]
    older = {timing.name: timing for timing in before.timings.rows(kind)}
    then, lately = dict(before.timings.values(kind)), dict(now.timings.values(kind))
    values = [(then.get(timing.name, []), lately[timing.name]) for timing in timings]
    chances = corrected([rank_sum(*pair) for pair in values])
    for timing, pair, chance in zip(timings, values, chances, strict=True):
        was = older.get(timing.name)
        yield (
            cell(timing.name, 40),
            count(timing.count),
            percent(timing.errors / timing.count),
            milliseconds(timing.p50_ms),
            milliseconds(timing.p95_ms),
            "-" if was is None else f"{count(was.count)}, {milliseconds(was.p50_ms)}",
            _difference(pair, chance, was),
        )


def _difference(pair: tuple[list[float], list[float]], chance: float | None, was: Timing | None) -> str:
    if was is None:
        return "new"
    if chance is None:
        return "too few to tell"
    ratio = median_ratio(*pair)
    if chance >= _LEVEL or ratio is None or ratio[1] <= 1 <= ratio[2]:
        return "none beyond chance"
    middle, low, high = ratio
    word = "slower" if middle > 1 else "faster"
    return f"**{middle:.2f}x, {word}** (95 %: {low:.2f} to {high:.2f})"


def report(runtime: Runtime, _call: Call) -> str:
    """The page of `autoperf report --html` in the state directory, and its headlines."""
    _flush(runtime)
    directory = runtime.config.state_dir
    found = collect(directory, _REPORTED)
    path = directory / FILE_NAME
    _write(path, page(found))
    messages = [trace.summary.seconds for trace in found.traces if trace.summary.by_user]
    unfinished = sum(trace.summary.name is None for trace in found.traces)
    lines = [
        f"Written: {path}",
        f"{count(len(messages))} messages, {count(unfinished)} traces that still go on, "
        f"{count(len(found.traces) - len(messages) - unfinished)} others; {count(found.spans)} spans",
    ]
    if messages:
        lines.append(f"a message took {milliseconds(1000 * median(messages))} (median)")
    total = sum(found.layers.values())
    if total:
        shares = sorted(found.layers.items(), key=lambda item: -item[1])[:5]
        lines.append("time: " + ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in shares))
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
    """Whole or not at all, for the user alone."""
    try:
        handle, beside = tempfile.mkstemp(prefix=".autoperf-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.writelines(parts)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise AutoperfError(f"{path} cannot be written: {error.strerror}") from None
