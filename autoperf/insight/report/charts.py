"""Samples over time and measurements side by side, as the few points that a picture needs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from autoperf.memo.series import ranked

# A picture is so many columns wide; more points lie on top of each other.
COLUMNS: Final = 400
DOTS: Final = 150
# A line is broken where nothing was sampled for so many times the usual distance.
_GAP: Final = 4


@dataclass(frozen=True, slots=True)
class Curve:
    """One number over time, cut into lines where nothing was sampled or another process began.

    ``lines`` hold ``(at, value)``, s since the epoch; within a column of the picture the worst value stands
    for all: the highest, or with ``low`` the lowest. ``median``, ``most`` (95 % of the samples are no worse)
    and ``worst`` are of the samples themselves.
    """

    lines: list[list[tuple[float, float]]]
    count: int
    median: float
    most: float
    worst: float
    low: bool = False


def curve(samples: Iterable[tuple[Any, float, float]], *, low: bool = False) -> Curve | None:
    """``(process, at, value)`` as a curve, ``low`` where less is worse; None without any."""
    rows = sorted(samples, key=lambda row: row[1])
    if not rows:
        return None
    ordered = sorted(value for _, _, value in rows)
    width = max((rows[-1][1] - rows[0][1]) / COLUMNS, 1e-9)
    lines: dict[Any, list[list[tuple[float, float]]]] = {}
    for process, of in _by_process(rows).items():
        lines[process] = _lines(of, width, min if low else max)
    return Curve(
        [line for of in lines.values() for line in of],
        len(rows),
        ranked(ordered, 0.5) or 0.0,
        ranked(ordered, 0.05 if low else 0.95) or 0.0,
        ordered[0] if low else ordered[-1],
        low,
    )


def _by_process(rows: Iterable[tuple[Any, float, float]]) -> dict[Any, list[tuple[float, float]]]:
    found: dict[Any, list[tuple[float, float]]] = {}
    for process, at, value in rows:
        found.setdefault(process, []).append((at, value))
    return found


def _lines(
    rows: Sequence[tuple[float, float]], width: float, worse: Callable[[float, float], float]
) -> list[list[tuple[float, float]]]:
    distances = sorted(after[0] - before[0] for before, after in itertools.pairwise(rows))
    usual = max(distances[len(distances) // 2] if distances else 0.0, width)
    lines: list[list[tuple[float, float]]] = [[rows[0]]]
    for at, value in rows[1:]:
        last = lines[-1]
        if at - last[-1][0] > _GAP * usual:
            lines.append([(at, value)])
        elif int(at / width) == int(last[-1][0] / width):
            last[-1] = (last[-1][0], worse(last[-1][1], value))
        else:
            last.append((at, value))
    return lines


@dataclass(frozen=True, slots=True)
class Axis:
    """From ``bottom`` to ``top``, with ``rules`` between them; logarithmic where ``bottom`` is above 0."""

    bottom: float
    top: float
    rules: tuple[float, ...]

    def share(self, value: float) -> float:
        """How far up ``value`` lies, 0 to 1."""
        held = min(max(value, self.bottom), self.top)
        if self.bottom > 0:
            return math.log(held / self.bottom) / math.log(self.top / self.bottom)
        return held / self.top


def linear(highest: float, unit: float = 1.0) -> Axis:
    """From 0 to the next round number of ``unit``, with a rule half-way."""
    if highest <= 0:
        return Axis(0.0, unit, (unit / 2,))
    power = unit * 10.0 ** math.floor(math.log10(highest / unit))
    top = next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power * (1 + 1e-9) >= highest)
    return Axis(0.0, top, (top / 2,))


def logarithmic(highest: float, bottom: float) -> Axis:
    """From ``bottom`` to the next power of ten times it, a rule at each power between."""
    powers = max(1, math.ceil(math.log10(max(highest, bottom) / bottom) - 1e-9))
    return Axis(bottom, bottom * 10.0**powers, tuple(bottom * 10.0**power for power in range(1, powers)))


def hit_rates(samples: Iterable[Mapping[str, Any]]) -> list[tuple[Any, float, float]]:
    """``(pid, at, share)`` of the samples in whose time anything was looked up."""
    return [
        (row.get("pid"), float(row["at"]), float(row["hits"]) / float(row["lookups"]))
        for row in samples
        if row.get("lookups") and row.get("hits") is not None
    ]


def numbers(samples: Iterable[Mapping[str, Any]], name: str) -> list[tuple[Any, float, float]]:
    """``(pid, at, value)`` of the samples that have ``name``; of several loops' lag the worst."""
    found = []
    for row in samples:
        value = row.get(name)
        if isinstance(value, Mapping):
            value = max(value.values(), default=None)
        if isinstance(value, (int, float)):
            found.append((row.get("pid"), float(row["at"]), float(value)))
    return found


@dataclass(frozen=True, slots=True)
class Spread:
    """How one thing's durations lie: ``dots`` are quantiles (ms, all of them where there are few)."""

    name: str
    count: int
    dots: list[float]
    median: float


def spread(name: str, values: Iterable[float]) -> Spread | None:
    """The spread of ``values`` (ms); None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    dots = ordered
    if len(ordered) > DOTS:
        dots = [ordered[round(at * (len(ordered) - 1) / (DOTS - 1))] for at in range(DOTS)]
    return Spread(name, len(ordered), dots, ranked(ordered, 0.5) or 0.0)


def decades(spreads: Iterable[Spread]) -> tuple[int, int]:
    """The powers of ten (ms) between which every dot lies: from, to."""
    values = [max(value, 1e-3) for one in spreads for value in (one.dots[0], one.dots[-1])]
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))
