"""Rank tests against shuffling, trends against noise, and how often they cry wolf."""

from __future__ import annotations

import random

import pytest

from autoperf.insight.compare.measurements import FEWEST
from autoperf.insight.compare.significance import (
    corrected,
    fisher,
    mean_shift,
    median_ratio,
    rank_sum,
    widened,
)
from autoperf.insight.compare.trends import trend

FIRST = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
SECOND = [1.15, 0.88, 0.90, 0.74, 1.21, 1.05, 0.99, 1.30]


def brute_force(first: list[float], second: list[float]) -> float:
    """U by its definition: pairs won, ties half."""
    return sum((a > b) + 0.5 * (a == b) for a in first for b in second)


def by_permutation(first: list[float], second: list[float], times: int = 4000) -> float:
    """The p-value by shuffling: what the approximation approximates."""
    pooled, n = first + second, len(first)
    middle = n * len(second) / 2
    seen = abs(brute_force(first, second) - middle)
    generator = random.Random(7)
    as_far = 0
    for _ in range(times):
        generator.shuffle(pooled)
        as_far += abs(brute_force(pooled[:n], pooled[n:]) - middle) >= seen
    return as_far / times


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.4, 0.8])
def test_the_p_value_is_that_of_shuffling(shift: float) -> None:
    second = [value + shift for value in SECOND]
    assert rank_sum(FIRST, second) == pytest.approx(by_permutation(FIRST, second), abs=0.03)


def test_ties_count_half() -> None:
    first, second = [1.0, 1, 2, 2, 3, 3, 4, 4, 5], [1.0, 2, 2, 3, 3, 3, 4, 6, 6]
    assert rank_sum(first, second) == pytest.approx(by_permutation(first, second), abs=0.05)
    assert rank_sum([1.0] * 10, [1.0] * 10) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (FIRST, SECOND, 0.23033106759236854),
        (FIRST, [value + 0.8 for value in SECOND], 0.01133197564519805),
        ([1.0, 1, 2, 2, 3, 3, 4, 4, 5], [1.0, 2, 2, 3, 3, 3, 4, 6, 6], 0.5886400394144831),
        ([*map(float, range(8))], [*map(float, range(8, 16))], 0.0009391056991171899),
        ([0.0] * 9 + [1.0], [1.0] * 9 + [0.0], 0.0005741725377175675),
    ],
)
def test_the_p_value_is_scipys(first: list[float], second: list[float], expected: float) -> None:
    # scipy 1.17.1: mannwhitneyu(first, second, use_continuity=True, method="asymptotic").
    assert rank_sum(first, second) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((0, 40, 6, 40), 0.025546605293440734),
        ((3, 10, 3, 10), 1.0),
        ((1, 8, 8, 8), 0.0013986013986013986),
        ((0, 50, 0, 60), 1.0),
        ((30_000, 100_000, 30_500, 100_000), 0.015134745404810003),
    ],
)
def test_fishers_p_value_is_scipys(table: tuple[int, int, int, int], expected: float) -> None:
    # scipy 1.17.1: fisher_exact([[a, n - a], [b, m - b]]).
    assert fisher(*table) == pytest.approx(expected, rel=1e-8)


def test_the_correction_is_scipys() -> None:
    # scipy 1.17.1: false_discovery_control(...).
    expected = [0.005, 0.25, 0.2 / 3, 0.2 / 3, 0.9]
    assert corrected([0.001, 0.2, 0.03, 0.04, 0.9]) == pytest.approx(expected)


def test_what_repeats_itself_makes_the_test_and_its_interval_wider() -> None:
    assert widened((20, 30), (1.0, 1.0)) == 1
    assert widened((20, 20), (3.0, 5.0)) == 4
    shifted = [value + 0.8 for value in SECOND]
    narrow, wide = median_ratio(FIRST, shifted), median_ratio(FIRST, shifted, 2.0)
    assert narrow is not None
    assert wide is not None
    assert (rank_sum(FIRST, shifted, 2.0) or 0) > (rank_sum(FIRST, shifted) or 1)
    assert wide[0] == narrow[0]
    assert wide[1] < narrow[1] < narrow[2] < wide[2]


def test_a_distance_counts_where_ranks_are_used_up() -> None:
    near, far = [[at + number for number in range(20)] for at in (115.0, 1000.0)]
    first = [100.0 + number for number in range(20)]
    apart = [mean_shift(first, other, (19.0, 19.0)) for other in (near, far)]
    assert apart[0] == pytest.approx(0.067, abs=0.001)
    assert apart[1] == pytest.approx(0, abs=1e-6)
    # Welch's statistic of the logarithms 0, 1 and 1, 2: 1 / sqrt(1/2), doubled variance: 1.
    e = 2.718281828459045
    assert mean_shift([1, e], [e, e * e], (1.0, 1.0)) == pytest.approx(0.15729920705028513)
    assert mean_shift([1, e], [e, e * e], (2.0, 2.0)) == pytest.approx(0.31731050786291415)
    assert mean_shift([0.0, 1.0], [1.0, 2.0], (1.0, 1.0)) is None
    assert mean_shift([3.0] * 9, [3.0] * 9, (1.0, 1.0)) == 1
    assert mean_shift([3.0] * 9, [4.0] * 9, (1.0, 1.0)) == 0


def test_symmetric_and_silent_about_few() -> None:
    assert rank_sum(FIRST, SECOND) == pytest.approx(rank_sum(SECOND, FIRST) or 0)
    assert rank_sum(FIRST, SECOND[: FEWEST - 1]) is None
    assert median_ratio(FIRST, SECOND[: FEWEST - 1]) is None


def test_nothing_is_found_where_there_is_nothing_more_often_than_it_says() -> None:
    generator = random.Random(3)
    found = 0
    for _ in range(400):
        first = [generator.lognormvariate(0, 1) for _ in range(20)]
        second = [generator.lognormvariate(0, 1) for _ in range(25)]
        found += (rank_sum(first, second) or 1) < 0.05
    assert found <= 32, "5 % of 400 are 20"


def test_a_real_difference_is_found_and_its_size_lies_in_the_interval() -> None:
    generator = random.Random(5)
    inside = 0
    for _ in range(100):
        before = [generator.lognormvariate(0, 0.3) for _ in range(40)]
        after = [1.3 * generator.lognormvariate(0, 0.3) for _ in range(40)]
        ratio = median_ratio(before, after)
        assert ratio is not None
        inside += ratio[1] <= 1.3 <= ratio[2]
    assert 89 <= inside <= 100
    assert (rank_sum(before, [3 * value for value in after]) or 1) < 1e-6


def test_many_values_are_thinned_and_tell_the_same() -> None:
    generator = random.Random(9)
    before = [generator.lognormvariate(0, 0.5) for _ in range(5000)]
    after = [2 * value for value in before]
    ratio = median_ratio(before, after)
    assert ratio is not None
    assert ratio[0] == pytest.approx(2, rel=0.02)


def test_correction_by_hand() -> None:
    assert corrected([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, 0.04, 0.04]
    assert corrected([]) == []
    assert corrected([1.0, 1.0]) == [1.0, 1.0]


def test_of_twenty_alike_things_some_are_called_different_once_in_twenty_times() -> None:
    generator = random.Random(11)

    def alike() -> float | None:
        return rank_sum(*([generator.gauss(10, 1) for _ in range(30)] for _ in range(2)))

    families = [[alike() for _ in range(20)] for _ in range(60)]
    wrong = sum(any(p is not None and p < 0.05 for p in corrected(family)) for family in families)
    assert wrong <= 8, "3 are to be expected; without the correction it would be 38"
    assert sum(any((p or 1) < 0.05 for p in family) for family in families) > 20


def test_a_leak_is_found_within_five_percent_under_noise_and_peaks() -> None:
    generator = random.Random(1)
    times = [5.0 * number for number in range(720)]
    values = [
        500e6 + 20_000 * at + generator.gauss(0, 2e6) + (80e6 if generator.random() < 0.05 else 0)
        for at in times
    ]
    found = trend(times, values)
    assert found is not None
    assert found.slope == pytest.approx(20_000, rel=0.05)
    assert found.low <= 20_000 <= found.high
    assert found.grows
    assert found.points == 720


def test_noise_is_no_leak_and_what_shrinks_does_not_grow() -> None:
    generator = random.Random(2)
    times = [5.0 * number for number in range(200)]
    grown = sum(
        bool((found := trend(times, [generator.gauss(0, 1) for _ in times])) and found.grows)
        for _ in range(100)
    )
    assert grown <= 3
    falling = trend(times, [-at for at in times])
    assert falling is not None
    assert not falling.grows
    assert falling.slope == -1
    flat = trend(times, [7.0] * 200)
    assert flat is not None
    assert (flat.slope, flat.grows) == (0, False)


def test_few_points_or_no_time_tell_nothing() -> None:
    assert trend([1.0] * 11, list(range(11))) is None
    assert trend([1.0] * 20, list(range(20))) is None
    exact = trend(list(range(12)), [3.0 * x for x in range(12)])
    assert exact is not None
    assert (exact.slope, exact.low, exact.high) == (3, 3, 3)


def test_the_slope_is_the_middle_one_and_growth_has_to_be_beyond_doubt() -> None:
    times = list(range(100))
    spiked = trend(times, [3.0 * x + (50 if x % 7 == 0 else 0) for x in times])
    assert spiked is not None
    assert spiked.slope == 3
    generator = random.Random(0)
    weak = trend(times[:60], [0.012 * x + generator.gauss(0, 1) for x in times[:60]])
    assert weak is not None
    assert (weak.low > 0, 0.01 < weak.p < 0.05, weak.grows) == (True, True, False)
