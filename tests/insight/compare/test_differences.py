"""Two periods side by side: real changes are found, chance is not called one, little data claims nothing."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from autoperf.insight.compare.differences import (
    ALIKE,
    BETTER,
    CHANGED,
    ERRORS,
    LEVEL,
    TAIL,
    TOO_FEW,
    WORSE,
    Difference,
    changes,
    differences,
)
from autoperf.insight.compare.periods import BLOCK_S, PROCESS, Period
from autoperf.insight.compare.significance import fisher
from autoperf.insight.traces.timings import Timings
from autoperf.insight.traces.tree import build
from autoperf.telemetry import names
from tests.trace_rows import Trace

TOOL = f"{names.EXECUTE_TOOL} search"


def period(milliseconds: list[float], failed: int = 0, tool: str = TOOL) -> Period:
    made = Period("made")
    for number, value in enumerate(milliseconds):
        status = "error" if number < failed else "unset"
        made.add_span(tool, 10**9, 10**9 + round(value * 1e6), status, {})
    return made


def only(rows: list[Difference], quantity: str = "duration") -> Difference:
    (row,) = [row for row in rows if row.quantity == quantity]
    return row


def lognormal(dice: random.Random, count: int, factor: float = 1.0) -> list[float]:
    return [factor * math.exp(dice.gauss(4, 0.6)) for _ in range(count)]


def test_a_slower_tool_is_worse_and_a_faster_one_better() -> None:
    dice = random.Random(1)
    before, after = lognormal(dice, 120), lognormal(dice, 120, 1.5)
    row = only(differences(period(before), period(after)))
    assert row.verdict == WORSE
    assert row.p is not None
    assert row.p < 0.001
    back = only(differences(period(after), period(before)))
    assert back.verdict == BETTER
    assert back.ratio == pytest.approx(1 / row.ratio)  # type: ignore[operator]


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    dice = random.Random(5)
    held = 0
    for _ in range(200):
        row = only(differences(period(lognormal(dice, 40)), period(lognormal(dice, 40, 1.5))))
        held += row.low <= 1.5 <= row.high  # type: ignore[operator]
    # 200 tries at 95 %: 190 expected, fewer than 180 has a chance below 1 in 300.
    assert 180 <= held <= 199


def test_of_what_is_alike_no_larger_share_than_promised_is_called_a_change() -> None:
    dice = random.Random(2)
    called = 0
    for _ in range(300):
        row = only(differences(period(lognormal(dice, 30)), period(lognormal(dice, 30))))
        called += row.verdict in (WORSE, BETTER)
    # 300 tries at 5 %: 15 expected, more than 27 has a chance below 1 in 500.
    assert 2 <= called <= 27


def tails(rows: list[Difference]) -> list[str]:
    return [row.verdict for row in rows if row.quantity == TAIL]


def test_a_few_calls_that_became_far_slower_are_worse_though_most_are_alike() -> None:
    dice = random.Random(6)
    before, after = lognormal(dice, 200), lognormal(dice, 200)
    for at in dice.sample(range(200), 20):
        after[at] *= 20
    rows = differences(period(before), period(after))
    assert only(rows).verdict == ALIKE
    assert (only(rows, TAIL).verdict, only(rows, TAIL).p is not None) == (WORSE, True)
    assert only(rows, TAIL).ratio == pytest.approx(only(rows).after.p95 / only(rows).before.p95)
    assert rows[0].quantity == TAIL
    assert tails(differences(period(after), period(before))) == [BETTER]
    # Where all became slower the tail says nothing more.
    assert tails(differences(period(before), period([5 * value for value in before]))) == []
    assert tails(differences(period(before[:20]), period(after[:20]))) == []
    assert tails(differences(period(before[:7]), period(after))) == []


def test_slow_calls_of_one_busy_moment_are_one_event() -> None:
    dice = random.Random(7)
    called = 0
    for _ in range(60):
        before, after = lognormal(dice, 200), lognormal(dice, 200)
        begin = dice.randrange(188)
        after[begin : begin + 12] = [20 * value for value in after[begin : begin + 12]]
        called += bool(tails(differences(period(before), period(after))))
    # As single calls they would be told apart in a third of the tries.
    assert called <= 6


def test_tails_that_are_alike_are_seldom_told_apart() -> None:
    dice = random.Random(8)

    def heavy() -> list[float]:
        return [math.exp(dice.gauss(4, 0.6)) * (30 if dice.random() < 0.05 else 1) for _ in range(120)]

    called = sum(
        row.verdict in (WORSE, BETTER)
        for _ in range(300)
        for row in differences(period(heavy()), period(heavy()))
    )
    # 300 tries at 5 %: 15 expected, more than 27 has a chance below 1 in 500.
    assert called <= 27


def test_many_things_asked_at_once_are_corrected_for() -> None:
    dice = random.Random(3)
    before, after = Period("a"), Period("b")
    for one in (before, after):
        for tool in range(40):
            for value in lognormal(dice, 20):
                one.add_span(f"{names.EXECUTE_TOOL} tool_{tool}", 0, round(value * 1e6), "unset", {})
    rows = differences(before, after)
    assert len(rows) == 40
    assert [row.verdict for row in rows] == [ALIKE] * 40


def test_too_few_measurements_claim_nothing() -> None:
    row = only(differences(period([1.0] * 7), period([100.0] * 50)))
    assert (row.verdict, row.p, row.ratio) == (TOO_FEW, None, None)


def test_a_sure_but_tiny_change_is_none() -> None:
    before = [100 + number / 1000 for number in range(200)]
    row = only(differences(period(before), period([value * 1.02 for value in before])))
    assert row.p is not None
    assert row.p < LEVEL
    assert row.verdict == ALIKE


def test_more_failures_are_worse_though_nothing_got_slower() -> None:
    times = [float(number) for number in range(1, 101)]
    rows = differences(period(times, failed=2), period(times, failed=30))
    assert only(rows, ERRORS).verdict == WORSE
    assert only(rows, ERRORS).ratio == pytest.approx(15)
    assert only(rows).verdict == ALIKE
    assert rows[0].quantity == ERRORS  # what got worse comes first
    assert only(differences(period(times, failed=30), period(times, failed=2)), ERRORS).verdict == BETTER
    assert [row.quantity for row in differences(period(times), period(times))] == ["duration"]


def test_more_tokens_are_a_change_and_nothing_bad() -> None:
    periods = []
    for tokens in (1000, 3000):
        made = Period("made")
        for number in range(20):
            used = {names.INPUT_TOKENS: tokens + number, names.REQUEST_MODEL: "m"}
            made.add_span("chat m", 0, 5_000_000 + number, "unset", used)
        periods.append(made)
    assert only(differences(*periods), "input tokens").verdict == CHANGED


def test_only_what_is_in_both_is_compared() -> None:
    assert differences(period([1.0] * 20), period([2.0] * 20, tool="execute_tool other")) == []


def test_samples_next_to_each_other_are_one_measurement() -> None:
    def sampled(memory: float, blocks: int) -> Period:
        made = Period("made")
        for at in range(0, int(blocks * BLOCK_S), 5):
            made.add_sample({"at": float(at), "pid": 1, "memory": memory + at % 7, "cpu": 0.5})
        return made

    few = differences(sampled(100.0, 3), sampled(300.0, 3))
    assert {row.verdict for row in few} == {TOO_FEW}
    assert {row.before.count for row in few} == {3}
    many = {row.quantity: row for row in differences(sampled(100.0, 12), sampled(300.0, 12))}
    assert many["memory"].verdict == WORSE
    assert many["memory"].key.kind == PROCESS
    assert many["cpu"].verdict == ALIKE


def test_zeros_leave_a_verdict_without_a_ratio() -> None:
    row = only(differences(period([0.0] * 30), period([5.0] * 30)))
    assert (row.ratio, row.verdict) == (None, WORSE)
    assert only(differences(period([0.0] * 30), period([0.0] * 30))).verdict == ALIKE


def exact(failed_before: int, before: int, failed_after: int, after: int) -> float:
    failed = failed_before + failed_after
    ways = {
        k: Fraction(math.comb(before, k) * math.comb(after, failed - k), math.comb(before + after, failed))
        for k in range(max(0, failed - after), min(before, failed) + 1)
    }
    return float(sum(p for p in ways.values() if p <= ways[failed_before]))


def test_fishers_test_agrees_with_counting_every_table() -> None:
    dice = random.Random(4)
    for _ in range(400):
        before, after = dice.randint(8, 60), dice.randint(8, 60)
        table = dice.randint(0, before), before, dice.randint(0, after), after
        assert fisher(*table) == pytest.approx(exact(*table), rel=1e-6)
    # The example of the test's page in Wikipedia, and of scipy's.
    assert fisher(1, 10, 11, 14) == pytest.approx(0.0027594561852200836)
    assert fisher(0, 7, 3, 100) is None


def timed(*named: tuple[str, list[float]]) -> Timings:
    timings = Timings()
    for number, (name, milliseconds) in enumerate(named, 1):
        trace = Trace(number)
        for at, one in enumerate(milliseconds):
            trace.span(name, 1000 * at, 1000 * at + one)
        timings.add(build(trace.rows).spans())
    return timings


def test_the_report_decides_as_compare_does() -> None:
    dice = random.Random(11)
    for factor in (1.0, 1.02, 1.3, 2.0):
        for count in (5, 20, 200):
            before, after = lognormal(dice, count), lognormal(dice, count, factor)
            (change,) = changes(timed((TOOL, before)), timed((TOOL, after)))
            (row,) = (one for one in differences(period(before), period(after)) if one.quantity == "duration")
            assert change.verdict == row.verdict
            assert change.ratio == pytest.approx(row.ratio)


def test_many_tools_that_are_alike_are_not_told_faster_by_the_report() -> None:
    """Of forty comparisons at 5 % two are beyond chance: they are corrected together, as in compare."""
    dice = random.Random(6)
    tools = [f"{names.EXECUTE_TOOL} tool_{number}" for number in range(40)]
    before, after = ([(tool, lognormal(dice, 20)) for tool in tools] for _ in range(2))
    assert {one.speedup for one in changes(timed(*before), timed(*after))} == {"alike"}


def test_before_and_after_meet_by_name() -> None:
    before = timed((TOOL, [10.0, 10.5] * 5), ("execute_tool gone", [1.0]))
    after = timed((TOOL, [5.0, 5.25] * 4), ("execute_tool new", [1.0]))
    (change,) = changes(before, after)
    assert (change.key.name, change.before.count, change.after.count) == ("search", 10, 8)
    assert (change.verdict, change.speedup) == (BETTER, "2.00x")
    (back,) = changes(after, before)
    assert (back.verdict, back.speedup) == (WORSE, "0.50x")


def test_too_few_are_not_told_faster_whatever_their_ratio() -> None:
    (change,) = changes(timed((TOOL, [10.0] * 9)), timed((TOOL, [5.0] * 7)))
    assert (change.ratio, change.speedup) == (None, "too few to tell")


def test_spans_that_only_the_slow_have_are_not_compared() -> None:
    """Nine of ten are faster than a span is made for now; the tenth would look like all of them."""
    names_of_both = ("extensions message_loop_end", "extension SaveChat", "compress_history")
    before = [(name, [2.0] * 10) for name in names_of_both]
    after = [(name, [9.0]) for name in names_of_both]
    assert changes(timed(*before), timed(*after)) == []
    assert len(timed(*after).rows()) == 3


def test_a_ratio_is_never_made_of_nothing() -> None:
    (change,) = changes(timed(("step", [1.0] * 8)), timed(("step", [0.0] * 8)))
    assert (change.ratio, change.speedup) == (None, "better")
