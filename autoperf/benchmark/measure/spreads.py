"""Several measurements of one thing, and of two things side by side: median and extremes, nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle one of some numbers (the mean of the middle two), the lowest and the highest."""

    median: float
    lowest: float
    highest: float


def spread(numbers: Sequence[float]) -> Spread | None:
    """Of at least one number; None of none."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers)) if numbers else None


def ratios(bare: Sequence[float | None], ours: Sequence[float | None]) -> list[float]:
    """Round by round the first divided by the second: more is better.

    A round in which one of them is missing, or the second took no time that the clock could tell, gives none.
    """
    pairs = zip(bare, ours, strict=True)
    return [first / second for first, second in pairs if first is not None and second]
