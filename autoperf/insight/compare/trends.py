"""Whether a number grows with time, how fast, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autoperf.insight.compare.significance import two_sided

FEWEST: Final = 12
# All pairs of more points would take seconds; means of neighbours say the same.
_POINTS: Final = 300


@dataclass(frozen=True)
class Trend:
    """Growth in units a second: the slope, its 95 % interval, and how likely so much is by chance."""

    slope: float
    low: float
    high: float
    p: float
    points: int
    seconds: float

    @property
    def grows(self) -> bool:
        """Whether it grows beyond doubt: at 1 %, with an interval that does not reach 0."""
        return self.p < 0.01 and self.low > 0


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Of values at times (s); None with fewer than `FEWEST` of them, or when no time passes.

    The slope is Theil and Sen's, the median over all pairs, so that single peaks do not count; the interval
    and the p-value are those of Mann and Kendall's test, corrected for ties. The points are taken for
    independent: a number that goes up and down slowly looks surer than it is, so a trend wants a long time.
    """
    pairs = _merged(sorted(zip(times, values, strict=True)))
    count = len(pairs)
    if count < FEWEST or pairs[-1][0] <= pairs[0][0]:
        return None
    slopes = []
    concordant = 0
    for later in range(1, count):
        at, value = pairs[later]
        for earlier_at, earlier in pairs[:later]:
            if at > earlier_at:
                slopes.append((value - earlier) / (at - earlier_at))
                concordant += (value > earlier) - (value < earlier)
    slopes.sort()
    spread = math.sqrt(_variance([value for _, value in pairs]))
    z = (abs(concordant) - 1) / spread if concordant and spread else 0.0
    reach = 1.96 * spread
    low = slopes[max(0, math.floor((len(slopes) - reach) / 2))]
    high = slopes[min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))]
    middle = slopes[len(slopes) // 2]
    return Trend(middle, low, high, two_sided(max(0.0, z)), len(values), pairs[-1][0] - pairs[0][0])


def _variance(values: Sequence[float]) -> float:
    n = len(values)
    alike: dict[float, int] = {}
    for value in values:
        alike[value] = alike.get(value, 0) + 1
    ties = sum(t * (t - 1) * (2 * t + 5) for t in alike.values())
    return (n * (n - 1) * (2 * n + 5) - ties) / 18


def _merged(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(pairs) <= _POINTS:
        return list(pairs)
    size = math.ceil(len(pairs) / _POINTS)
    groups = [pairs[at : at + size] for at in range(0, len(pairs), size)]
    return [
        (sum(at for at, _ in group) / len(group), sum(value for _, value in group) / len(group))
        for group in groups
    ]
