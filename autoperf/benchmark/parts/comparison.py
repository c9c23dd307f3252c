"""The same conversation twice on one checkout, and what can be said about the two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoperf.benchmark.host.run import Run, run
from autoperf.benchmark.measure.transcript import transcript
from autoperf.benchmark.scenarios.conversation import Conversation


@dataclass(frozen=True)
class Comparison:
    """Two runs and the unified diff of their transcripts (empty: equal)."""

    first: Run
    second: Run
    differences: list[str]

    @property
    def equal(self) -> bool:
        return not self.differences


def compare(
    checkout: Path, conversation: Conversation, workdir: Path, prefix: Sequence[str] = (), **options: Any
) -> Comparison:
    """Run bare, then behind ``prefix`` (bare again when it is empty); ``options`` go to ``checkout.run``."""
    first = run(checkout, conversation, workdir, **{**options, "observe": None, "extra_env": None})
    second = run(checkout, conversation, workdir, prefix=prefix, **options)
    return Comparison(first, second, transcript(first).differences(transcript(second)))


def table(comparison: Comparison, names: tuple[str, str] = ("bare", "second")) -> list[str]:
    """Wall and CPU seconds of start and turns, one line each, both runs side by side."""
    first, second = comparison.first, comparison.second
    rows = [("start", first.start_wall, first.start_cpu, second.start_wall, second.start_cpu)]
    for number, (left, right) in enumerate(zip(first.turns, second.turns, strict=True), 1):
        rows.append((f"turn {number}", left.wall, left.cpu, right.wall, right.cpu))
    lines = [
        f"{'seconds':<10}" + "".join(f"{name + what:>18}" for name in names for what in (" wall", " CPU"))
    ]
    lines += [f"{row[0]:<10}" + "".join(f"{_number(value):>18}" for value in row[1:]) for row in rows]
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
