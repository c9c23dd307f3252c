"""The pictures of a report: the process over time, and how the durations of each tool lie."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from autoperf.errors.wording import count, duration, milliseconds, percent
from autoperf.insight.facts.causes import on_cpu, told
from autoperf.insight.report.charts import (
    Axis,
    Curve,
    Spread,
    curve,
    decades,
    hit_rates,
    linear,
    logarithmic,
    numbers,
    spread,
)
from autoperf.insight.report.html.markup import element, name, section, table, text
from autoperf.insight.report.report import Report
from autoperf.telemetry import names

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


class _Drawn(NamedTuple):
    """One picture: its title, how a value is worded, the curve, the axis, and what is marked on it."""

    title: str
    worded: Callable[[float], str]
    line: Curve
    axis: Axis
    stalls: Sequence[Mapping[str, Any]] = ()

    @property
    def said(self) -> str:
        """The samples in words."""
        reach = f"95 % of samples {'from' if self.line.low else 'up to'} {self.worded(self.line.most)}"
        return f"median {self.worded(self.line.median)}, {reach}{' up' if self.line.low else ''}"


def process(report: Report) -> str:
    """CPU, memory, event-loop lag with its stalls, and hit rate over time; nothing without samples."""
    samples = report.samples
    if not samples:
        return ""
    begin = min(float(row["at"]) for row in samples)
    end = max(float(row["at"]) for row in samples)
    figures, rows = [], []
    for one in _drawn(report):
        figures.append(_figure(one, (begin, end)))
        line = one.line
        rows.append((one.title, count(line.count), *map(one.worded, (line.median, line.most, line.worst))))
    stalls = len(report.stalls)
    dots = "as dots beside the lag" if stalls <= _STALLS else f"the longest {_STALLS} as dots beside the lag"
    lead = (
        f"{len(samples):,} sample{'s' * (len(samples) != 1)} over {duration(end - begin)}. "
        "A line is broken where nothing was sampled. "
        "Where several samples share a column of the picture, the worst is drawn: the highest, of hits the "
        f"lowest. Stalls, an event loop that answered nobody for more than 250 ms: {stalls:,}"
        f"{', ' + dots if stalls else ''}. The axis of the lag is logarithmic."
    )
    head = ("", "samples", "median", "95 % of samples no worse than", "worst")
    body = "".join(figures) + _as_table(table(head, rows, 4))
    return section("The process over time", body, lead)


def _drawn(report: Report) -> list[_Drawn]:
    samples = report.samples
    longest = max((float(row["seconds"]) for row in report.stalls), default=0.0)
    found = []
    if line := curve(numbers(samples, "cpu")):
        found.append(_Drawn("CPU", _cores, line, linear(line.worst)))
    if line := curve(numbers(samples, "memory")):
        found.append(_Drawn("Memory", _mib, line, linear(line.worst, 2.0**20)))
    if line := curve(numbers(samples, "lag")):
        axis = logarithmic(max(line.worst, longest), 0.001)
        found.append(_Drawn("Event-loop lag", _late, line, axis, report.stalls))
    if line := curve(hit_rates(samples), low=True):
        found.append(_Drawn("Look-ups that were hits", percent, line, Axis(0.0, 1.0, (0.5,))))
    return found


def _as_table(markup: str) -> str:
    return f'<details><summary class="more">as a table</summary>{markup}</details>'


def _figure(one: _Drawn, between: tuple[float, float]) -> str:
    begin, end = between

    def x(at: float) -> float:
        return _WIDE * (at - begin) / (end - begin) if end > begin else _WIDE / 2

    def y(value: float) -> float:
        return _HIGH * (1 - one.axis.share(value))

    rules = "".join(f'<path class="ruled" d="M0 {y(value):.1f}H{_WIDE:.0f}"/>' for value in one.axis.rules)
    paths = "".join(
        _line("curve" if len(line) > 1 else "curve one", [(x(at), y(value)) for at, value in line])
        for line in one.line.lines
    )
    longest = sorted(one.stalls, key=lambda row: -float(row["seconds"]))[:_STALLS]
    marks = "".join(
        f'<path class="stall" d="{_path([(x(float(row["at"])), y(float(row["seconds"])))])}">'
        f"<title>{text(_stalled(row))}</title></path>"
        for row in longest
        if begin <= float(row["at"]) <= end
    )
    shape = "%H:%M:%S" if end - begin < _DAY_S else "%m-%d %H:%M"
    moments = (begin, (begin + end) / 2, end) if end > begin else (begin,)
    ends = "".join(element("span", time.strftime(shape, time.localtime(at))) for at in moments)
    scale = element("span", one.worded(one.axis.top)) + element("span", one.worded(one.axis.bottom))
    worst = f"{'lowest' if one.line.low else 'highest'} {one.worded(one.line.worst)}"
    described = f"{one.line.count:,} samples, {one.said}, {worst}"
    return (
        f'<figure class="plot"><figcaption><b>{text(one.title)}</b> {text(one.said)}</figcaption>'
        f'<div class="frame"><div class="scale">{scale}</div>'
        f'<svg viewBox="0 0 {_WIDE:.0f} {_HIGH:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(one.title)}: {text(described)}"><desc>{text(described)}</desc>'
        f"{rules}{paths}{marks}</svg>"
        f'<div class="ends{"" if end > begin else " alone"}">{ends}</div></div></figure>'
    )


def _line(kind: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<path class="{kind}" d="{_path(points)}"/>'


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:  # a line of no length is drawn as a dot by its round caps
        points = [*points, *points]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _stalled(row: Mapping[str, Any]) -> str:
    tool = f", tool {row['tool']}" if row.get("tool") else ""
    cpu = f", {share}" if (share := on_cpu([row])) else ""
    return f"{milliseconds(float(row['seconds']) * 1000)}{cpu}: {told(row)}{tool}"


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
