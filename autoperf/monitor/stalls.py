"""How long each event loop is busy without a break, and where the host is while one stalls."""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.fence import fenced, inside
from autoperf.errors.switch import ALWAYS
from autoperf.monitor.frames import held, method_owner

THRESHOLD_S: Final = 0.25
# Earlier than what counts, so that the shortest stall is looked at too, several times a second.
_LOOK_AFTER_S: Final = 0.1
_LOOPS_KEPT: Final = 32
_STALLS_KEPT: Final = 256
_SAMPLES: Final = 12
_DEPTH: Final = 400
_NO_FILE: Final = "(code without a file)"
_NAME_LENGTH: Final = 200
# Loops made for a single call come and go by the thousand.
_LONG_LIVED_S: Final = 2.0
_RUNNERS: Final = frozenset({"run_forever", "run_until_complete", "_run_once"})
Clock = Callable[[], float]
Whereabouts = Callable[[list[FrameType]], dict[str, str]]
Stack = tuple[str, ...]


@dataclass(frozen=True)
class Stall:
    """One time that a loop answered nobody: when it began (s since the epoch), for how long, and why.

    ``stack`` names the host's own frames, outermost first, as ``path:line function`` relative to the host's
    folder; empty where the interpreter itself was held and nobody could look. ``inside`` is the function at
    the very end of the stack when it is not the host's; ``chat`` and ``tool`` are empty outside of a turn.
    """

    at: float
    seconds: float
    loop: str
    stack: Stack = ()
    inside: str = ""
    chat: str = ""
    tool: str = ""


@dataclass
class _Look:
    """What was seen of one stall while it lasted."""

    since: float
    stacks: Counter[tuple[Stack, str]] = field(default_factory=Counter)
    place: dict[str, str] = field(default_factory=dict)
    next_at: float = 0.0


class Busy:
    """One loop: its selector tells when it goes to sleep and wakes. Written on the loop's own thread.

    Holds neither: a selector leads to its loop, and a loop that nobody closes ends with its last reference.
    """

    def __init__(self, loop: Any, thread: threading.Thread | None, identity: int, clock: Clock) -> None:
        self.thread = str(held(thread, "_name") or "?")
        self.identity = identity
        self.awake_since = 0.0
        self.longest = 0.0
        self.over: deque[tuple[float, float]] = deque(maxlen=_STALLS_KEPT)
        self.look: _Look | None = None
        self.loop = weakref.ref(loop)
        self._instrument(loop._selector, clock)

    def _instrument(self, selector: Any, clock: Clock) -> None:
        def select(call: Any, timeout: float | None = None) -> Any:
            since = self.awake_since
            if since:
                busy = clock() - since
                if busy > self.longest:
                    self.longest = busy
                if busy >= THRESHOLD_S:
                    self.over.append((since, busy))
            self.awake_since = 0.0
            try:
                return call(timeout)
            finally:
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


class Stalls:
    """The long-lived loops of the process; everything but the noting itself happens on the caller's thread.

    ``root`` is the host's folder; ``whereabouts`` tells from the frames of a stack which chat and tool it is.
    """

    def __init__(
        self,
        root: str,
        whereabouts: Whereabouts | None = None,
        clock: Clock = time.perf_counter,
        wall_clock: Clock = time.time,
    ) -> None:
        self._root = os.path.join(os.path.realpath(root), "")
        self._whereabouts = whereabouts
        self._clock = clock
        self._wall_clock = wall_clock
        self._seen: dict[int, tuple[weakref.ref[Any], float]] = {}
        self._loops: dict[int, Busy] = {}
        self.lasting: list[Stall] = []

    def discover(self) -> None:
        """Look which loops run, and begin to watch those that have run for a while."""
        now, found = self._clock(), {}
        threads = {thread.ident: thread for thread in threading.enumerate()}
        for identity, loop in _running():
            key = id(loop)
            ref, since = self._seen.get(key, (None, now))
            if ref is None or ref() is not loop:
                ref, since = weakref.ref(loop), now
            found[key] = (ref, since)
            if key not in self._loops and now - since >= _LONG_LIVED_S and len(self._loops) < _LOOPS_KEPT:
                with guarded("monitor"):
                    self._loops[key] = Busy(loop, threads.get(identity), identity, self._clock)
        self._seen = found
        for key, busy in list(self._loops.items()):
            loop = busy.loop()
            if loop is None or loop.is_closed():
                del self._loops[key]

    def watch(self) -> list[Stall]:
        """Look at every loop that stalls right now; the stalls that have ended since last time.

        ``lasting`` then holds those that have not.
        """
        ended, lasting = [], []
        frames: dict[int, FrameType] | None = None
        for busy in list(self._loops.values()):
            busy.forget_unless_it_runs()
            since = busy.awake_since
            now = self._clock()
            while busy.over:
                ended.append(self._described(busy, *busy.over.popleft()))
            if since and now - since >= _LOOK_AFTER_S and since == busy.awake_since:
                if busy.look is None or busy.look.since != since:
                    busy.look = _Look(since)
                look = busy.look
                if now >= look.next_at and look.stacks.total() < _SAMPLES:
                    look.next_at = now + (now - since) / 2
                    frames = frames or sys._current_frames()
                    self._look(look, frames.get(busy.identity))
                if now - since >= THRESHOLD_S:
                    lasting.append(self._described(busy, since, now - since))
        self.lasting = lasting
        return ended

    def lags(self) -> dict[str, float]:
        """For each watched loop's thread: the longest time without a break since last asked, in seconds."""
        worst: dict[str, float] = {}
        for busy in list(self._loops.values()):
            worst[busy.thread] = round(max(worst.get(busy.thread, 0.0), busy.take_longest(self._clock())), 4)
        return worst

    def release(self) -> None:
        """Stop watching and leave every loop as it was found."""
        for busy in self._loops.values():
            with guarded("monitor"):
                busy.release()
        self._loops.clear()
        self._seen.clear()

    def _described(self, busy: Busy, since: float, seconds: float) -> Stall:
        look = busy.look
        at = self._wall_clock() - (self._clock() - since)
        if look is None or look.since != since or not look.stacks:
            return Stall(at, round(seconds, 4), busy.thread)
        ((stack, inside), _), *_ = look.stacks.most_common(1)
        place = look.place
        return Stall(
            at, round(seconds, 4), busy.thread, stack, inside, place.get("chat", ""), place.get("tool", "")
        )

    def _look(self, look: _Look, frame: FrameType | None) -> None:
        frames = list(_outwards(frame))[::-1]
        own = [one for one in frames if one.f_code.co_filename.startswith(self._root)]
        stack = tuple(
            f"{one.f_code.co_filename[len(self._root) :]}:{one.f_lineno} {one.f_code.co_name}" for one in own
        )
        inside = ""
        if frames and (not own or frames[-1] is not own[-1]):
            inside = _outside(frames[-1])
        look.stacks[stack, inside] += 1
        if self._whereabouts is not None and not look.place:
            with guarded("monitor"):
                look.place = self._whereabouts(own)


def _outside(frame: FrameType) -> str:
    """Module and name of a function that is not the host's; of code without a file, no more than that.

    That may be written by the model, names and all.
    """
    code, module = frame.f_code, frame.f_globals.get("__name__")
    if code.co_filename.startswith("<") and not code.co_filename.startswith("<frozen "):
        return _NO_FILE
    return f"{module if type(module) is str else '?'}.{code.co_name}"[:_NAME_LENGTH]


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_DEPTH):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _running() -> Iterator[tuple[int, Any]]:
    """Thread and loop of every event loop that runs: it stands in a frame below all that it does."""
    for identity, frame in sys._current_frames().items():
        loop = None
        for one in _outwards(frame):
            if one.f_code.co_name in _RUNNERS:
                candidate = method_owner(one)
                if issubclass(type(candidate), asyncio.AbstractEventLoop):
                    loop = candidate
        if loop is not None and issubclass(type(held(loop, "_selector")), selectors.BaseSelector):
            yield identity, loop
