"""How a number has grown while the process ran: what several rules ask."""

from __future__ import annotations

from typing import Final

from autoperf.insight.compare.trends import Trend, trend
from autoperf.insight.facts import Facts

# Growth is told from the warming up of caches only after this long.
LONG_ENOUGH_S: Final = 1800.0


def growth(facts: Facts, name: str) -> tuple[Trend, list[float]] | None:
    """How a number has grown over the later half of the samples; None if it has not, or they are too few."""
    times, values = facts.series(name)
    half = len(times) // 2
    found = trend(times[half:], values[half:])
    if found is None or not found.grows or found.seconds < LONG_ENOUGH_S:
        return None
    return found, values
