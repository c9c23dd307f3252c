"""How much the tool may do within an hour, whoever asks: any text that an agent reads can make it call."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from autoperf.errors.wording import duration

HOUR_S: Final = 3600.0
# All chats together, in one hour. With profiles (6 calls are 3 of them, of 300 s, at 3 % of a core) and what
# is read again after caches were dropped, the worst that can be asked for is a minute of one core.
SECONDS: Final = 15.0
CALLS: Final = 600
OF_ONE: Final = 6  # of an action that changes something, or goes on after its answer


class RefusedError(Exception):
    """The text says what is exhausted, and when there will be more."""


class Allowance:
    """Counts calls and their time; ``publish`` gets the record of it that ``status`` shows. Thread-safe."""

    def __init__(
        self, publish: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._spent: deque[tuple[float, float, str]] = deque()
        self._totals: Counter[str] = Counter()
        self._refused = 0
        self._seconds = 0.0
        self._working = threading.Lock()

    def forked(self) -> None:
        """In a child made by fork: the call that goes on is the parent's."""
        self._working = threading.Lock()

    @contextmanager
    def call(self, action: str, *, bounded: bool) -> Iterator[None]:
        """Around one call; ``bounded`` actions are allowed `OF_ONE` times. Raises `RefusedError`.

        A second one at the same time is refused, not made to wait: it would hold one of the host's threads.
        """
        if not self._working.acquire(blocking=False):
            self._refuse("another call of this tool is at work; one at a time")
        try:
            self._check(action, bounded)
            started = self._clock()
            try:
                yield
            finally:
                self._count(action, started)
        finally:
            self._working.release()

    def _check(self, action: str, bounded: bool) -> None:
        now = self._clock()
        while self._spent and self._spent[0][0] <= now - HOUR_S:
            self._spent.popleft()
        if bounded and sum(name == action for _, _, name in self._spent) >= OF_ONE:
            self._refuse(f"{OF_ONE} times within an hour are allowed{self._again(now, action)}")
        if len(self._spent) >= CALLS:
            self._refuse(f"{CALLS} calls of this tool within an hour are allowed{self._again(now)}")
        if sum(seconds for _, seconds, _ in self._spent) >= SECONDS:
            self._refuse(f"this tool has used its {SECONDS:g} s of this hour{self._again(now)}")

    def _again(self, now: float, action: str = "") -> str:
        first = next(at for at, _, name in self._spent if name == action or not action)
        return f"; again in {duration(first + HOUR_S - now)}"

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        self._tell()
        raise RefusedError(reason)

    def _count(self, action: str, started: float) -> None:
        seconds = max(0.0, self._clock() - started)
        self._spent.append((started, seconds, action))
        self._totals[action] += 1
        self._seconds += seconds
        self._tell()

    def _tell(self) -> None:
        calls = self._totals.total()
        self._publish(
            {
                "calls": calls,
                "refused": self._refused,
                "seconds": round(self._seconds, 3),
                "actions": dict(self._totals),
            }
        )
