"""How far measurements repeat each other: known processes, and what is called a change in them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from autoperf.insight.compare.autocorrelation import redundancy
from autoperf.insight.compare.differences import ALIKE, BETTER, TOO_FEW, WORSE, differences
from autoperf.insight.compare.periods import Period
from autoperf.telemetry import names

pytestmark = pytest.mark.slow

Make = Callable[[random.Random], Period]


def drifting(dice: random.Random, count: int, phi: float) -> list[float]:
    """A process whose neighbours correlate by ``phi``, with mean 0 and standard deviation 1."""
    value, made = dice.gauss(0, 1), []
    for _ in range(count):
        value = phi * value + math.sqrt(1 - phi * phi) * dice.gauss(0, 1)
        made.append(value)
    return made


def tool(dice: random.Random, count: int, phi: float, factor: float = 1.0) -> Period:
    made = Period("made")
    for at, value in enumerate(drifting(dice, count, phi)):
        took = round(factor * math.exp(4 + 0.6 * value) * 1e6)
        made.add_span(f"{names.EXECUTE_TOOL} search", at, at + took, "unset", {})
    return made


def memory(dice: random.Random, hours: float, phi: float, level: float = 300e6, sd: float = 60e6) -> Period:
    """A sample a minute."""
    made = Period("made")
    for at, value in enumerate(drifting(dice, round(hours * 60), phi)):
        made.add_sample({"at": 60.0 * at, "pid": 1, "memory": max(1e6, level + sd * value)})
    return made


def called(times: int, make: Make, other: Make, seed: int = 7) -> list[str]:
    """The verdicts of so many comparisons; each has one quantity."""
    dice = random.Random(seed)
    return [differences(make(dice), other(dice))[0].verdict for _ in range(times)]


def changes(verdicts: list[str]) -> int:
    return sum(verdict in (WORSE, BETTER) for verdict in verdicts)


def test_independent_values_are_what_they_are() -> None:
    dice = random.Random(1)
    found = [redundancy(drifting(dice, 200, 0), if_shown=True) for _ in range(100)]
    assert sum(one == 1 for one in found) >= 75
    assert sum(found) / len(found) < 1.5


@pytest.mark.parametrize("phi", [0.5, 0.8, 0.9])
def test_the_redundancy_of_a_known_process(phi: float) -> None:
    dice = random.Random(2)
    found = sorted(redundancy(drifting(dice, 3000, phi)) for _ in range(20))[10]
    # The largest of several estimates: above the truth rather than below it.
    truth = (1 + phi) / (1 - phi)
    assert 0.85 * truth <= found <= 1.8 * truth


def test_slow_drift_beneath_noise_is_seen_in_long_blocks() -> None:
    dice = random.Random(3)
    values = [slow + dice.gauss(0, 1) for slow in drifting(dice, 2000, 0.98)]
    assert redundancy(values) > 20  # the truth is 50: half the variance repeats 99 times


def test_the_ends_of_the_scale() -> None:
    assert redundancy([]) == 1
    assert redundancy([5.0]) == 1
    assert redundancy([5.0] * 30) == 1
    assert redundancy([1.0, 9.0] * 20) == 1
    assert redundancy([float(number) for number in range(40)]) > 20
    assert redundancy([float(number) for number in range(40)]) <= 40


def test_order_decides() -> None:
    values = [float(number) for number in range(100)]
    mixed = random.Random(4).sample(values, 100)
    assert redundancy(values, if_shown=True) > 20
    assert redundancy(mixed, if_shown=True) < 3


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_a_machine_that_is_busy_for_a_while_is_no_change(phi: float) -> None:
    verdicts = called(200, lambda dice: tool(dice, 100, phi), lambda dice: tool(dice, 100, phi))
    # 200 tries at 5 %: 10 expected, more than 19 has a chance below 1 in 200. Counted as independent,
    # phi 0.6 gave a third, 0.9 two thirds.
    assert changes(verdicts) <= 19


def test_a_real_shift_is_found_in_spite_of_it() -> None:
    verdicts = called(40, lambda dice: tool(dice, 200, 0.6), lambda dice: tool(dice, 200, 0.6, 2.0))
    assert verdicts.count(WORSE) >= 38
    steady = called(40, lambda dice: tool(dice, 60, 0), lambda dice: tool(dice, 60, 0, 1.5))
    assert steady.count(WORSE) >= 30


@pytest.mark.parametrize("hours", [1, 4, 24])
@pytest.mark.parametrize("minutes", [5, 30, 120])
def test_memory_that_drifts_is_no_change(hours: int, minutes: int) -> None:
    phi = math.exp(-1 / minutes)
    verdicts = called(40, lambda dice: memory(dice, hours, phi), lambda dice: memory(dice, hours, phi))
    # 2 expected. Each five minutes counted as a measurement of its own gave 6 to 35 of 40.
    assert changes(verdicts) <= 5


def test_memory_that_stays_where_it_is_can_be_told_from_more() -> None:
    verdicts = called(20, lambda dice: memory(dice, 6, 0), lambda dice: memory(dice, 6, 0, 400e6))
    assert verdicts == [WORSE] * 20
    back = called(20, lambda dice: memory(dice, 6, 0, 400e6), lambda dice: memory(dice, 6, 0))
    assert back == [BETTER] * 20
    same = called(40, lambda dice: memory(dice, 6, 0), lambda dice: memory(dice, 6, 0))
    assert changes(same) <= 5
    assert ALIKE in same


def test_one_slow_drift_each_is_too_few_however_many_samples() -> None:
    dice = random.Random(5)
    (row,) = differences(memory(dice, 4, 0.995), memory(dice, 4, 0.995, 900e6))
    assert (row.verdict, row.p, row.ratio) == (TOO_FEW, None, None)
    assert row.before.count == 48
    assert max(row.independent) < 8


def test_runs_of_their_own_level_count_as_runs() -> None:
    def period(dice: random.Random) -> Period:
        made = Period("made")
        for pid in range(4):
            level = 300e6 + 60e6 * dice.gauss(0, 1)
            for minute in range(120):
                at = 60.0 * minute
                made.add_sample({"at": at, "pid": pid, "memory": level + 1e6 * dice.gauss(0, 1)})
        return made

    assert changes(called(40, period, period)) <= 5


def test_processes_at_the_same_time_are_taken_one_after_the_other() -> None:
    made = Period("made")
    for minute in range(0, 240, 5):
        for pid, level in ((1, 100), (2, 900)):
            made.add_sample({"at": 60.0 * minute, "pid": pid, "memory": level + minute % 3})
    ((_, values),) = made.values()
    assert [value > 500 for value in values] == [False] * 48 + [True] * 48
    assert redundancy(values) > 20
