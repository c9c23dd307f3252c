"""The event loops of the process: which run, and for how long each is busy without a break."""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from autoperf.errors.fence import fenced, inside
from autoperf.errors.switch import ALWAYS
from autoperf.monitor.frames import held, method_owner, outwards
from autoperf.monitor.looks import Look
from autoperf.monitor.threads import Usage, delay, own_usage

THRESHOLD_S: Final = 0.25
_STALLS_KEPT: Final = 256
# What the loop's thread has used is read at most that long of its work before a stall, or so many turns.
_STALE_S: Final = 0.005
_TURNS: Final = 8
_RUNNERS: Final = frozenset({"run_forever", "run_until_complete", "_run_once"})
Clock = Callable[[], float]


class Over(NamedTuple):
    """A stall that has ended: when it began, its seconds, and what the loop's thread had used around it.

    ``delay`` is what `threads.delay` said at its end.
    """

    since: float
    seconds: float
    before: Usage
    after: Usage
    delay: float | None


class Busy:
    """One loop: its selector tells when it goes to sleep and wakes. Written on the loop's own thread.

    Holds neither: a selector leads to its loop, and a loop that nobody closes ends with its last reference.
    ``native`` is the system's number of that thread, ``before`` what it had used when it last woke, or up
    to 5 ms of work or 8 turns before that. ``delayed`` is when `threads.delay` was last asked outside of a
    stall, and its answer.
    """

    def __init__(self, loop: Any, thread: threading.Thread | None, identity: int, clock: Clock) -> None:
        self.thread = str(held(thread, "_name") or "?")
        self.identity = identity
        self.native = (thread.native_id if thread is not None else None) or 0
        self.awake_since = 0.0
        self.longest = 0.0
        self.over: deque[Over] = deque(maxlen=_STALLS_KEPT)
        self.look: Look | None = None
        self.before: Usage | None = None
        self.delayed: tuple[float, float] | None = None
        self.loop = weakref.ref(loop)
        self._worked = _STALE_S
        self._instrument(loop._selector, clock)

    def _instrument(self, selector: Any, clock: Clock) -> None:
        def select(call: Any, timeout: float | None = None) -> Any:
            since = self.awake_since
            if since:
                busy = clock() - since
                if busy > self.longest:
                    self.longest = busy
                if busy >= THRESHOLD_S and self.before is not None:
                    self.over.append(Over(since, busy, self.before, own_usage(), delay(self.native)))
                self._worked += busy + _STALE_S / _TURNS
            self.awake_since = 0.0
            try:
                return call(timeout)
            finally:
                if self._worked >= _STALE_S:
                    self._worked, self.before = 0.0, own_usage()
                self.awake_since = clock()

        # Whatever is raised here ends the host's loop.
        selector.select = fenced("monitor", selector.select, ALWAYS, select)
        self._select = select

    def release(self) -> None:
        """Leave the loop as it was found."""
        selector: Any = getattr(self.loop(), "_selector", None)
        found = None if selector is None else inside(vars(selector).get("select"))
        # Somebody may have wrapped ours meanwhile.
        if found is not None and found[0] is self._select:
            del selector.select

    def forget_unless_it_runs(self) -> None:
        """A loop whose run has ended goes to sleep in no selector: it is not busy until it runs again."""
        loop = self.loop()
        if loop is None or not loop.is_running():
            self.awake_since = 0.0

    def take_longest(self, now: float) -> float:
        """The longest time without a break since last asked, in seconds, one that still lasts included."""
        longest, self.longest = self.longest, 0.0
        since = self.awake_since
        return max(longest, now - since) if since else longest

    def note_delay(self, now: float) -> None:
        """Remember for how long its thread has waited for a CPU so far."""
        so_far = delay(self.native)
        self.delayed = None if so_far is None else (now, so_far)


def running() -> Iterator[tuple[int, Any]]:
    """Thread and loop of every event loop that runs: it stands in a frame below all that it does."""
    for identity, frame in sys._current_frames().items():
        loop = None
        for one in outwards(frame):
            if one.f_code.co_name in _RUNNERS:
                candidate = method_owner(one)
                if issubclass(type(candidate), asyncio.AbstractEventLoop):
                    loop = candidate
        if loop is not None and issubclass(type(held(loop, "_selector")), selectors.BaseSelector):
            yield identity, loop
