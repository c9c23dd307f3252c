"""What each tenth of a long streamed reply costs the host, told from outside by its CPU clock."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from autoperf.benchmark.model.completions import Piece

TENTHS = 10
# Pieces. A shorter reply is over before a tenth of it could be told from the clock's noise.
LONG = 2_000
# The last of them close the request, and the host goes on to what follows it: no part of the last tenth.
_CLOSING = 32
_WATCHED_SECONDS = 0.02
_IDLE_SHARE = 0.2
_IDLE_IN_A_ROW = 3
_PATIENCE_SECONDS = 600.0


class Watched(Protocol):
    """A process that can be asked whether it works, such as `HostProcess`."""

    def cpu_seconds(self) -> float | None:
        """CPU seconds so far, or None."""

    def runs(self) -> bool:
        """Whether a thread is on a processor or waits for one."""


class Pace:
    """Passes a stream on, but stops at each tenth until the host has caught up, and reads its CPU clock.

    Sockets and the client keep hundreds of events that were sent and not yet worked on: only when the host
    has nothing left to do is it known what a tenth has cost. ``idle`` are the seconds in which it stood still
    for that; they belong to no measured time.
    """

    def __init__(
        self,
        process: Watched,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle = 0.0
        self._process = process
        self._sleep = sleep
        self._clock = clock
        self._marks: list[tuple[int, float]] = []

    def __call__(self, events: Iterator[str]) -> Iterator[str]:
        """The same events; those of a long reply with stops."""
        held = list(events)
        counted = sum(isinstance(event, Piece) for event in held) - _CLOSING
        if counted + _CLOSING < LONG:
            yield from held
            return
        self._marks = []
        stops = {counted * tenth // TENTHS for tenth in range(TENTHS + 1)}
        number = 0
        for event in held:
            if isinstance(event, Piece):
                if number in stops:
                    self._stop(number)
                number += 1
            yield event

    def tenths(self) -> list[float]:
        """CPU seconds a chunk, tenth by tenth, of the last long reply; empty if they could not be told."""
        if len(self._marks) != TENTHS + 1:
            return []
        return [
            (later - cpu) / (after - before)
            for (before, cpu), (after, later) in itertools.pairwise(self._marks)
        ]

    def _stop(self, number: int) -> None:
        rest = wait_idle(self._process, _PATIENCE_SECONDS, self._sleep, self._clock)
        if rest is not None:
            self._marks.append((number, rest.cpu))
            self.idle += self._clock() - rest.since


@dataclass(frozen=True)
class Rest:
    """A process that has nothing to do, ``since`` when on the clock, and its CPU seconds."""

    since: float
    cpu: float


def wait_idle(
    process: Watched,
    patience: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Rest | None:
    """Block until ``process`` has done nothing for some 60 ms, or wanted to; None after ``patience`` seconds.

    Also None where nobody tells its CPU time. A thread that waits for a processor is at work.
    """
    begun = still_since = clock()
    before, idle = process.cpu_seconds(), 0
    while before is not None and clock() - begun < patience:
        sleep(_WATCHED_SECONDS)
        now = process.cpu_seconds()
        if now is None:
            return None
        if now - before > _IDLE_SHARE * _WATCHED_SECONDS or process.runs():
            idle, still_since = 0, clock()
        else:
            idle += 1
        before = now
        if idle == _IDLE_IN_A_ROW:
            return Rest(still_since, now)
    return None
