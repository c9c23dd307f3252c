"""Whether two sets of measurements differ by more than chance: rank tests, corrected for asking often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from autoperf.insight.compare.measurements import enough


def rank_sum(first: Sequence[float], second: Sequence[float], spread: float = 1.0) -> float | None:
    """The two-sided p-value that both come from one distribution; None with too few of either (`enough`).

    Mann and Whitney's U with the normal approximation, corrected for ties and for continuity. It asks
    nothing of the shape of the distributions, so a few very slow calls do not decide. ``spread`` is how
    many times as much U varies as it does among independent values: see `widened`.
    """
    n, m = len(first), len(second)
    if not enough(n, m):
        return None
    pooled = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks_of_first, ties, at = 0.0, 0.0, 0
    while at < len(pooled):
        end = at
        while end < len(pooled) and pooled[end][0] == pooled[at][0]:
            end += 1
        alike = end - at
        ranks_of_first += sum(1 for _, group in pooled[at:end] if group == 0) * (at + end + 1) / 2
        ties += alike**3 - alike
        at = end
    total = n + m
    variance = spread * n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    distance = abs(ranks_of_first - n * (n + 1) / 2 - n * m / 2)
    return two_sided(max(0.0, distance - 0.5) / math.sqrt(variance))


def widened(counts: tuple[int, int], redundant: tuple[float, float]) -> float:
    """How many times as much the rank test varies where so many of ``counts`` values tell what one would."""
    (n, m), (one, other) = counts, redundant
    return (one / n + other / m) / (1 / n + 1 / m)


def mean_shift(
    first: Sequence[float], second: Sequence[float], redundant: tuple[float, float]
) -> float | None:
    """The two-sided p-value that both have one mean logarithm, where values repeat the ones before them.

    Ranks know no distance: few independent values are never far enough apart for them, however far they
    are. None where a value is not above 0.
    """
    if min(*first, *second) <= 0:
        return None
    distance, variance = 0.0, 0.0
    for sign, values, repeated in ((1, first, redundant[0]), (-1, second, redundant[1])):
        logarithms = [math.log(value) for value in values]
        mean = sum(logarithms) / len(logarithms)
        distance += sign * mean
        squares = sum((one - mean) ** 2 for one in logarithms)
        variance += squares / (len(logarithms) - 1) * repeated / len(logarithms)
    if variance <= 0:
        return 1.0 if distance == 0 else 0.0
    return two_sided(distance / math.sqrt(variance))


def two_sided(z: float) -> float:
    """How likely a standard normal value at least ``z`` away from 0 is."""
    return math.erfc(abs(z) / math.sqrt(2))


def fisher(failed_before: int, before: int, failed_after: int, after: int) -> float | None:
    """The two-sided p-value that both failed equally often; None with too few of either (`enough`).

    Fisher's exact test: the probabilities, with both totals given, of all tables that are no likelier than
    the one found, added up. Exact for few failures, where an approximation would call chance a change.
    """
    if not enough(before, after):
        return None
    failed, total = failed_before + failed_after, before + after
    weights = [
        _log_choose(before, k) + _log_choose(after, failed - k) - _log_choose(total, failed)
        for k in range(max(0, failed - after), min(before, failed) + 1)
    ]
    found = weights[failed_before - max(0, failed - after)]
    # Tables as likely as the one found count, whatever the last digit says.
    return min(1.0, sum(math.exp(one) for one in weights if one <= found + 1e-7))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def median_ratio(
    before: Sequence[float], after: Sequence[float], spread: float = 1.0
) -> tuple[float, float, float] | None:
    """``after`` by ``before``: the median of all pairs' ratios, and its 95 % interval; None with too few.

    Hodges and Lehmann's estimate on logarithms, with the interval that belongs to the rank-sum test and
    its ``spread``; all values have to be above 0. Above 1 is more after.
    """
    if not enough(len(before), len(after)) or min(*before, *after) <= 0:
        return None
    first, second = _thinned(before), _thinned(after)
    ratios = sorted(math.log(b / a) for a in first for b in second)
    n, m = len(first), len(second)
    reach = 1.96 * math.sqrt(spread * n * m * (n + m + 1) / 12)
    low = max(0, math.floor(n * m / 2 - reach))
    high = min(n * m - 1, math.ceil(n * m / 2 + reach))
    return math.exp(_middle(ratios)), math.exp(ratios[low]), math.exp(ratios[high])


_PAIRED_AT_MOST: Final = 400


def _thinned(values: Sequence[float]) -> list[float]:
    # All pairs of more would take seconds; quantiles of them are as good.
    ordered = sorted(values)
    if len(ordered) <= _PAIRED_AT_MOST:
        return ordered
    return [ordered[int((k + 0.5) * len(ordered) / _PAIRED_AT_MOST)] for k in range(_PAIRED_AT_MOST)]


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """The same, so that of all that are called different by chance no larger share is wrong.

    Benjamini and Hochberg's procedure; None stays None.
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    result: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank in range(len(known), 0, -1):
        p, index = known[rank - 1]
        smallest = min(smallest, p * len(known) / rank)
        result[index] = smallest
    return result
