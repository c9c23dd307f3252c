"""The pictures of a report: the process over time, and how the durations of each tool lie."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from autoperf.insight.plots import Curve, Spread, curve, decades, hit_rates, numbers, spread
from autoperf.insight.reports import Report
from autoperf.page.markup import element, name, section, table, text
from autoperf.telemetry import names
from autoperf.wording import count, duration, milliseconds, percent

_TOOLS: Final = 15
_STALLS: Final = 200
# Coordinates of a picture before the page stretches it.
_WIDE, _HIGH = 1000.0, 100.0
_DAY_S: Final = 86_400.0


def _mib(value: float) -> str:
    return f"{value / 2**20:,.0f} MiB"


def _cores(value: float) -> str:
    return f"{value:.2f} cores"


def _late(value: float) -> str:
    return milliseconds(value * 1000)


def process(report: Report) -> str:
    """CPU, memory, event-loop lag with its stalls, and hit rate over time; nothing without samples."""
    samples = report.samples
    if not samples:
        return ""
    drawn: list[tuple[str, Callable[[float], str], Curve | None, float | None]] = [
        ("CPU", _cores, curve(numbers(samples, "cpu")), None),
        ("Memory", _mib, curve(numbers(samples, "memory")), None),
        ("Event-loop lag", _late, curve(numbers(samples, "lag")), None),
        ("Look-ups that were hits", percent, curve(hit_rates(samples)), 1.0),
    ]
    begin = min(float(row["at"]) for row in samples)
    end = max(float(row["at"]) for row in samples)
    figures, rows = [], []
    for title, worded, line, top in drawn:
        if line is None:
            continue
        marks = report.stalls if worded is _late else []
        figures.append(_figure(title, worded, line, (begin, end), top, marks))
        summary = (worded(value) for value in (line.median, line.p95, line.highest))
        rows.append((title, count(line.count), *summary))
    lead = (
        f"{len(samples):,} samples over {duration(end - begin)}. A line is broken where nothing was sampled. "
        "Where several samples share a column of the picture, the highest is drawn. "
        f"Stalls, an event loop that answered nobody for more than 250 ms: {len(report.stalls):,}."
    )
    head = ("", "samples", "median", "p95", "highest")
    body = "".join(figures) + _as_table(table(head, rows, 4))
    return section("The process over time", body, lead)


def _as_table(markup: str) -> str:
    return f'<details><summary class="more">as a table</summary>{markup}</details>'


def _figure(
    title: str,
    worded: Callable[[float], str],
    line: Curve,
    between: tuple[float, float],
    top: float | None,
    stalls: Sequence[Mapping[str, Any]],
) -> str:
    begin, end = between
    ceiling = top or max([line.highest, *(float(row["seconds"]) for row in stalls)]) or 1.0

    def x(at: float) -> float:
        return _WIDE * (at - begin) / (end - begin) if end > begin else _WIDE / 2

    def y(value: float) -> float:
        return _HIGH * (1 - min(value, ceiling) / ceiling)

    paths = "".join(
        f'<path class="curve" d="{_path([(x(at), y(value)) for at, value in one])}"/>' for one in line.lines
    )
    marks = "".join(
        f'<path class="stall" d="M{x(float(row["at"])):.1f} {_HIGH}V{y(float(row["seconds"])):.1f}">'
        f"<title>{text(_stalled(row))}</title></path>"
        for row in sorted(stalls, key=lambda row: -float(row["seconds"]))[:_STALLS]
        if begin <= float(row["at"]) <= end
    )
    said = f"{title}: median {worded(line.median)}, highest {worded(line.highest)}"
    shape = "%H:%M:%S" if end - begin < _DAY_S else "%m-%d %H:%M"
    ends = (time.strftime(shape, time.localtime(at)) for at in between)
    axis = "".join(element("span", one) for one in ends)
    return (
        f'<figure class="plot"><figcaption><b>{text(title)}</b> median {worded(line.median)}, '
        f"95 % of samples up to {worded(line.p95)}</figcaption>"
        f'<div class="frame"><span class="top">{worded(ceiling)}</span>'
        f'<svg viewBox="0 0 {_WIDE:.0f} {_HIGH:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(said)}">{marks}{paths}</svg></div><div class="ends">{axis}</div></figure>'
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:  # a line of no length is drawn as a dot by its round caps
        points = [*points, *points]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _stalled(row: Mapping[str, Any]) -> str:
    frames = row.get("stack") or ()
    where = f" in {frames[-1]}" if frames else ""
    tool = f", tool {row['tool']}" if row.get("tool") else ""
    return f"{milliseconds(float(row['seconds']) * 1000)}{where}{tool}"


def distributions(report: Report) -> str:
    """Every call of each tool on one logarithmic axis; nothing without tools."""
    measured = report.timings.values(names.EXECUTE_TOOL)
    spreads = [one for key, values in measured if (one := spread(key, values)) is not None][:_TOOLS]
    if not spreads:
        return ""
    low, high = decades(spreads)

    def share(value: float) -> float:
        return 100 * (math.log10(max(value, 1e-3)) - low) / (high - low)

    ticks = "".join(
        f'<text x="{share(10.0**power):.2f}%" y="12" '
        f'class="{"a" if power == low else "z" if power == high else "m"}">{milliseconds(10.0**power)}</text>'
        for power in range(low, high + 1)
    )
    axis = f'<div class="spread axis"><span></span><svg aria-hidden="true">{ticks}</svg><span></span></div>'
    rows = "".join(_spread(one, share, (low, high)) for one in spreads)
    lead = (
        "Each dot is a call, or a quantile where there are more than 150; the line is the median. The axis "
        "is logarithmic. The numbers are in the table of tools."
    )
    return section("How long tools take", f'<div class="spreads">{axis}{rows}</div>', lead)


def _spread(one: Spread, share: Callable[[float], float], between: tuple[int, int]) -> str:
    lines = "".join(
        f'<rect class="rule" x="{share(10.0**power):.2f}%" y="0" width="1" height="100%"/>'
        for power in range(between[0], between[1] + 1)
    )
    dots = "".join(f'<circle cx="{share(value):.2f}%" cy="50%" r="3.5"/>' for value in one.dots)
    middle = f'<rect class="median" x="{share(one.median):.2f}%" y="15%" width="2.5" height="70%"/>'
    said = text(f"{one.name}: {one.count:,} calls, median {milliseconds(one.median)}")
    return (
        f'<div class="spread"><span class="n">{name(one.name)}</span>'
        f'<svg role="img" aria-label="{said}">{lines}{dots}{middle}</svg>'
        f'<span class="t">{one.count:,} calls</span></div>'
    )
