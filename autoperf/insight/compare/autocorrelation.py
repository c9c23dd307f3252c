"""How far measurements taken one after another repeat each other, so that they are not counted as many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

# Of fewer means next to each other nothing can be said about how alike they are.
_FEWEST_MEANS: Final = 10
# Neighbours as alike as this happen by chance once in twenty times, in units of 1 / sqrt(n).
_BEYOND_CHANCE: Final = 1.645
_ALIKE_AT_MOST: Final = 0.99


def redundancy(values: Sequence[float], *, if_shown: bool = False) -> float:
    """How many of ``values``, in the order they were taken, tell as much as one that stands alone: 1 to n.

    Flyvbjerg and Petersen's blocking: the variance of the mean, estimated from means of 1, 2, 4, 8, ...
    neighbours each; the largest counts, since what drifts slowly shows in long blocks only. The neighbours
    of each length are corrected for what they still have in common (Kendall's correction of a short
    series). Ranks stand for the values, as in the test that this is for. With ``if_shown`` a length counts
    where its neighbours are more alike than chance makes them, else every value is its own measurement.
    What drifts more slowly than all of ``values`` were taken cannot be seen in them.
    """
    row = _ranks(values)
    count, first, most, length = len(row), 0.0, 1.0, 1
    while length == 1 or len(row) >= _FEWEST_MEANS:
        alike, variance = _neighbours(row)
        if length == 1:
            first = variance
        if variance <= 0 or first <= 0:
            break
        if not if_shown or alike > _BEYOND_CHANCE / math.sqrt(len(row)):
            common = min(_ALIKE_AT_MOST, max(0.0, alike + (1 + 4 * alike) / len(row)))
            of_mean = variance / len(row) * (1 + common) / (1 - common)
            most = max(most, of_mean / (first / count))
        row = [(row[at] + row[at + 1]) / 2 for at in range(0, len(row) - 1, 2)]
        length *= 2
    return min(most, float(max(1, count)))


def _neighbours(row: Sequence[float]) -> tuple[float, float]:
    """The correlation of each value with the next one, and the variance."""
    if len(row) < 2:
        return 0.0, 0.0
    mean = sum(row) / len(row)
    away = [value - mean for value in row]
    squares = sum(value * value for value in away)
    both = sum(away[at] * away[at + 1] for at in range(len(row) - 1))
    return (both / squares if squares else 0.0), squares / (len(row) - 1)


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value; equal values share the middle of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, at = [0.0] * len(values), 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for place in order[at:end]:
            ranks[place] = (at + end - 1) / 2
        at = end
    return ranks
