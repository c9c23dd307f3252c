"""Two periods side by side: what changed, by how much, and whether chance alone would do as much."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from autoperf.insight.compare.autocorrelation import redundancy
from autoperf.insight.compare.measurements import TOO_FEW, enough
from autoperf.insight.compare.periods import PROCESS, Figures, Key, Period
from autoperf.insight.compare.significance import (
    corrected,
    fisher,
    mean_shift,
    median_ratio,
    rank_sum,
    widened,
)
from autoperf.insight.traces.timings import ONLY_IF_SLOW, Timing, Timings
from autoperf.memo.series import ranked

# Of all changes that are called real by chance alone, at most this share.
LEVEL: Final = 0.05
# A smaller change is none that anybody feels, however sure it is.
SMALLEST: Final = 0.05
ERRORS: Final = "error rate"
# A few calls that are far slower leave the ranks of all as they are.
TAIL: Final = "p95"
_TAIL: Final = 0.95
WORSE: Final = "worse"
BETTER: Final = "better"
CHANGED: Final = "changed"
ALIKE: Final = "no change shown"
FASTER: Final = (
    "Faster: how many times as fast the typical one is now, below 1x slower; told where it is more than "
    "chance, by the test of autoperf compare, and 5 % at least."
)
VERDICTS: Final = (WORSE, BETTER, CHANGED, ALIKE, TOO_FEW)


@dataclass(frozen=True, slots=True)
class Difference:
    """One quantity in both periods.

    ``ratio`` is after / before with its 95 % interval (``low``, ``high``): of the typical value, not of the
    two medians; None where there is too little or something is 0. Of an error rate it is the rates' ratio,
    of `TAIL` that of the 95th percentiles, both without an interval. ``p`` is the two-sided p-value,
    corrected for how many were asked; None: too few. ``independent`` says as how many measurements those of
    before and of after were counted: fewer than there are where each resembles the one before it.
    """

    before: Figures
    after: Figures
    quantity: str
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    independent: tuple[float, float]
    verdict: str = TOO_FEW

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.after.key

    @property
    def speedup(self) -> str:
        """How many times as fast it is now, for a table; else why that cannot be said."""
        if self.verdict in (WORSE, BETTER) and self.ratio:
            return f"{1 / self.ratio:.2f}x"
        return {ALIKE: "alike", TOO_FEW: TOO_FEW}.get(self.verdict, self.verdict)

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        row = asdict(self)
        row["before"], row["after"] = self.before.as_row(), self.after.as_row()
        return {"kind": self.key.kind, "name": self.key.name, **row}


def differences(before: Period, after: Period) -> list[Difference]:
    """Everything measured in both periods: what got worse first, then what got better, then the rest.

    Durations, tokens and samples are compared by Mann and Whitney's rank test, error rates by Fisher's exact
    test; the p-values of one call are corrected together (Benjamini and Hochberg). A machine that is busy
    for a while, and memory at any time, make neighbours alike: what repeats its neighbour counts for less
    (`redundancy`), of the process always, of single calls where it shows. Worse or better is what
    stays below `LEVEL` and differs by `SMALLEST` at least: more of anything measured here is worse, but
    for tokens, of which more or fewer is only a change. Of durations it is asked too whether the slowest
    twentieth of both together comes from one of them (Fisher's exact test); told is `TAIL` only where it
    changed and the durations as a whole did not likewise.
    """
    earlier, later = dict(before.values()), dict(after.values())
    figures = {one.key: one for one in before.figures()}
    rows: list[Difference] = []
    for now in after.figures():
        if now.key not in figures:
            continue
        then = figures[now.key]
        rows.append(_in_size(then, now, earlier[now.key], later[now.key]))
        if now.key.quantity == "duration":
            rows += _in_tail(then, now, earlier[now.key], later[now.key])
        if then.failed is not None and now.failed is not None and then.failed + now.failed:
            rows.append(_in_errors(then, now))
    sure = corrected([row.p for row in rows])
    judged = [replace(row, p=p, verdict=_verdict(row, p)) for row, p in zip(rows, sure, strict=True)]
    told = {(row.key, row.verdict) for row in judged if row.quantity == "duration"}
    shown = [row for row in judged if row.quantity != TAIL or _adds(row, told)]
    return sorted(shown, key=lambda row: VERDICTS.index(row.verdict))


def changes(before: Timings, after: Timings) -> list[Difference]:
    """What was timed in both, whether slow or not, judged as in `differences`; by the time it takes now."""
    known = {(row.kind, row.name): row for row in before.rows()}
    both = [(known.get((row.kind, row.name)), row) for row in after.rows() if row.kind not in ONLY_IF_SLOW]
    rows = [
        _in_size(_figures(then), _figures(now), before.durations(then), after.durations(now))
        for then, now in both
        if then is not None
    ]
    sure = corrected([row.p for row in rows])
    return [replace(row, p=p, verdict=_verdict(row, p)) for row, p in zip(rows, sure, strict=True)]


def _figures(row: Timing) -> Figures:
    return Figures(
        Key(row.kind, row.name, "duration"), row.count, row.errors, row.p50_ms, row.p95_ms, row.total_ms
    )


def _adds(tail: Difference, told: Collection[tuple[Key, str]]) -> bool:
    return tail.verdict in (WORSE, BETTER) and (tail.key, tail.verdict) not in told


def _in_size(then: Figures, now: Figures, first: Sequence[float], second: Sequence[float]) -> Difference:
    sampled = now.key.kind == PROCESS
    redundant = redundancy(first, if_shown=not sampled), redundancy(second, if_shown=not sampled)
    counts = then.count, now.count
    independent = counts[0] / redundant[0], counts[1] / redundant[1]
    if sampled and not enough(*independent):
        return Difference(then, now, now.key.quantity, None, None, None, None, independent)
    spread = widened(counts, redundant)
    ratio, low, high = median_ratio(first, second, spread) or (None, None, None)
    p = rank_sum(first, second, spread)
    if not sampled and p is not None and max(redundant) > 1:
        far = mean_shift(first, second, redundant)
        p = p if far is None else far
    return Difference(then, now, now.key.quantity, ratio, low, high, p, independent)


def _in_tail(
    then: Figures, now: Figures, first: Sequence[float], second: Sequence[float]
) -> Iterator[Difference]:
    limit = ranked(sorted([*first, *second]), _TAIL) or 0.0
    counts, above = [], []
    for values in (first, second):
        slow = [float(value > limit) for value in values]
        # Slow calls come together where the machine was busy for a while.
        repeated = max(redundancy(values, if_shown=True), redundancy(slow, if_shown=True))
        counts.append(round(len(slow) / repeated))
        above.append(round(sum(slow) / repeated))
    p = fisher(above[0], counts[0], above[1], counts[1])
    if p is not None:
        ratio = now.p95 / then.p95 if then.p95 else None
        yield Difference(then, now, TAIL, ratio, None, None, p, (counts[0], counts[1]))


def _in_errors(then: Figures, now: Figures) -> Difference:
    before, after = then.failed or 0, now.failed or 0
    ratio = now.error_rate / then.error_rate if then.error_rate and now.error_rate is not None else None
    p = fisher(before, then.count, after, now.count)
    return Difference(then, now, ERRORS, ratio, None, None, p, (then.count, now.count))


def _verdict(row: Difference, p: float | None) -> str:
    if p is None:
        return TOO_FEW
    if p >= LEVEL:
        return ALIKE
    if row.quantity == ERRORS:
        return WORSE if (row.after.error_rate or 0) > (row.before.error_rate or 0) else BETTER
    more = row.ratio if row.ratio is not None else _of_means(row)
    if abs(more - 1) < SMALLEST:
        return ALIKE
    if row.quantity.endswith("tokens"):
        return CHANGED
    return WORSE if more > 1 else BETTER


def _of_means(row: Difference) -> float:
    """Where a value of 0 leaves no ratio of typical values."""
    before, after = row.before.total / row.before.count, row.after.total / row.after.count
    return after / before if before else 1.0 if not after else float("inf")
