"""One run in numbers: everything that was read from a clock or counted, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autoperf.benchmark.host.run import Run, TurnResult

CPU, WALL, START_CPU, START_WALL = "CPU", "wall", "start, CPU", "start, wall"
CHILDREN, PEAK = "CPU of ended child processes", "peak memory"
FIRST_TENTH, LAST_TENTH = "CPU a chunk, first tenth", "CPU a chunk, last tenth"
CLIENT, FRAMEWORK = "CPU of the model client alone", "CPU without the model client"
GROWTH = "a chunk, last tenth / first"
FIRST_CPU, LAST_CPU = f"{CPU}, first message", f"{CPU}, last message"
# What autoperf says of itself: to be held beside what the bare run takes less.
OWN, OWN_LAST, OWN_START = "autoperf itself, CPU", "autoperf itself, last message", "autoperf itself, start"
# Every other value is in seconds.
UNITS = {PEAK: "KiB", GROWTH: "times"}


@dataclass
class Sample:
    """One run of one variant: ``values`` by name in seconds or as in `UNITS`, None where nobody tells it.

    ``transcript`` maps sections to lines, ``hit_rates`` lookups to the share that was answered from a cache.
    """

    values: dict[str, float | None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    transcript: Any = None
    hit_rates: dict[str, float] = field(default_factory=dict)
    failures: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tenths: list[float] = field(default_factory=list)


def of_run(run: Run) -> Sample:
    """The numbers of a conversation with a host; its transcript and autoperf's own numbers are not in it."""
    sample = Sample()
    sample.values = {
        **of_turns(run.turns),
        START_CPU: run.start_cpu,
        START_WALL: run.start_wall,
        PEAK: run.peak_kib,
    }
    if run.tenths:
        sample.tenths = run.tenths
        first, last = run.tenths[0], run.tenths[-1]
        sample.values |= {FIRST_TENTH: first, LAST_TENTH: last, GROWTH: last / first if first > 0 else None}
    sample.counts = {
        "messages": len(run.turns),
        "steps": sum(turn.steps for turn in run.turns),
        "chunks": sum(turn.chunks for turn in run.turns),
    }
    if sample.counts["steps"] and not sample.counts["chunks"]:
        sample.notes.append("the host asked for no stream: its replies came in one piece")
    if run.hung:
        sample.notes.append(f"{len(run.hung)} starts hung and were made again")
    return sample


def of_turns(turns: Sequence[TurnResult]) -> dict[str, float | None]:
    """CPU and wall seconds in all, of the first and of the last message, a step and a chunk."""
    if not turns:
        return {}
    steps, chunks = sum(turn.steps for turn in turns), sum(turn.chunks for turn in turns)
    values: dict[str, float | None] = {}
    for what, seconds in ((CPU, [turn.cpu for turn in turns]), (WALL, [turn.wall for turn in turns])):
        whole = total(seconds)
        values[what] = whole
        if len(turns) > 1:
            values |= {f"{what}, first message": seconds[0], f"{what}, last message": seconds[-1]}
        values |= shares(what, whole, {"step": steps, "chunk": chunks})
    children = total([turn.children for turn in turns])
    return {**values, CHILDREN: children} if children else values


def shares(what: str, whole: float | None, counts: Mapping[str, int]) -> dict[str, float | None]:
    """``whole`` divided by each count that is not zero."""
    return {
        f"{what} a {name}": None if whole is None else whole / count
        for name, count in counts.items()
        if count
    }


def total(seconds: Sequence[float | None]) -> float | None:
    """The sum, or None if one of them is not known."""
    known = [one for one in seconds if one is not None]
    return sum(known) if len(known) == len(seconds) else None
