"""What is seen of one stall: several looks at the loop's stack, and which threads ran instead."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final

from autoperf.errors import guarded
from autoperf.errors.frames import OURS
from autoperf.monitor.causes import Cause, Measured, Ran, cause, holder
from autoperf.monitor.frames import held, line_of, outside, outwards, waits
from autoperf.monitor.threads import Snapshot

_THREADS: Final = 4
_PLACES: Final = 3
_NAME_LENGTH: Final = 100
_SHORTEST_S: Final = 0.05
_NS: Final = 1e-9
Whereabouts = Callable[[list[FrameType]], dict[str, str]]
Stack = tuple[str, ...]


class Look:
    """One stall that began at ``since`` (s of the caller's clock), as far as it was looked at.

    ``before`` are the threads' CPU times of before it began; without them the first look has them.
    ``counted`` is when counters of seconds were first read, and what they said. ``process`` is CPU time of
    the process (s), ``unknown`` what no living Python thread had of it. What `judge` found is in ``cause``,
    ``holder`` and ``measured``; of the looks ``taken``, ``ready`` found the loop's thread on a CPU or waiting
    for one.
    """

    def __init__(self, since: float, before: Snapshot | None) -> None:
        self.since = since
        self.next_at = 0.0
        self.stacks: Counter[tuple[Stack, str]] = Counter()
        self.place: dict[str, str] = {}
        self.counted: dict[str, tuple[float, float]] = {}
        self.process: float | None = None
        self.unknown = 0.0
        self.taken = 0
        self.ready = 0
        self.cause: Cause = ""
        self.holder = ""
        self.measured: dict[str, float] = {}
        self._ran: Counter[tuple[str, str, bool]] = Counter()
        self._first = self._last = before

    def note_stack(self, frame: FrameType | None, root: str, whereabouts: Whereabouts | None) -> None:
        """Where the loop's thread is, its innermost frame being ``frame``; ``root`` ends with a separator."""
        frames = list(outwards(frame))[::-1]
        if _is_over(frames):
            return
        own = [one for one in frames if one.f_code.co_filename.startswith(root)]
        inside = outside(frames[-1]) if frames and (not own or frames[-1] is not own[-1]) else ""
        self.stacks[tuple(line_of(one, root) for one in own), inside] += 1
        if whereabouts is not None and not self.place:
            with guarded("monitor"):
                self.place = whereabouts(own)

    def note_others(self, now: Snapshot, frames: Mapping[int, FrameType], loop: int, root: str) -> None:
        """Which threads have run since last time, but for the loop's and the caller's, and where they are."""
        last, self._last = self._last, now
        if last is None or self._first is None:
            self._first = now
            return
        self.process = max(0.0, now.process - self._first.process)
        spent = {ident: cpu - last.cpu.get(ident, 0) for ident, cpu in now.cpu.items()}
        # A thread may have ended since ``now``.
        living = sum(cpu for ident, cpu in spent.items() if ident in frames)
        self.unknown += max(0.0, now.process - last.process - living * _NS)
        names = {thread.ident: held(thread, "_name") for thread in threading.enumerate()}
        apart = (loop, threading.get_ident())
        known = [one for one in spent if spent[one] > 0 and one in frames and one not in apart]
        for rank, ident in enumerate(sorted(known, key=lambda one: -spent[one])):
            frame = frames[ident]
            waiting = waits(frame)
            if rank < _THREADS or not waiting:
                name = str(names.get(ident) or "?")[:_NAME_LENGTH]
                self._ran[name, _place(frame, root), waiting] += spent[ident]

    def ran(self) -> list[Ran]:
        """The threads that ran instead, most CPU time first; each where it was when it had most of it."""
        found: dict[str, Ran] = {}
        for (thread, place, waiting), cpu in self._ran.most_common():
            known = found.get(thread)
            seconds = cpu * _NS
            found[thread] = (
                Ran(thread, place, seconds, waiting)
                if known is None
                else known._replace(cpu=known.cpu + seconds, waiting=known.waiting and waiting)
            )
        return sorted(found.values(), key=lambda one: -one.cpu)

    def grown(self, until: float, now: Mapping[str, float | None]) -> dict[str, float | None]:
        """By how much each counter of seconds, at ``now``, has grown in the stall up to ``until``."""
        return {name: self._growth(self.counted.get(name), value, until) for name, value in now.items()}

    def _growth(self, first: tuple[float, float] | None, value: float | None, until: float) -> float | None:
        if first is None or value is None or until - first[0] < _SHORTEST_S:
            return None
        at, before = first
        seconds = until - self.since
        # Read from some way into the stall on, it is taken to have grown alike before.
        return min(max(0.0, value - before) * (seconds / (until - at) if at > self.since else 1.0), seconds)

    def judge(self, measured: Measured, switch_interval: float) -> None:
        """Decide on the cause of the stall, as far as it goes."""
        ran = self.ran()
        self.cause = cause(measured, ran, switch_interval)
        self.holder = holder(measured, ran, self.unknown) if self.cause == "lock" else ""
        known = {name: value for name, value in measured._asdict().items() if value is not None}
        self.measured = {name: round(value, 4) for name, value in known.items() if name != "seconds"}

    def where(self) -> tuple[Stack, str]:
        """The host's stack and the function outside of it that was seen most often, line numbers apart."""
        functions: Counter[tuple[Stack, str]] = Counter()
        for (stack, inside), times in self.stacks.items():
            functions[_functions(stack), inside] += times
        if not functions:
            return (), ""
        ((most, inside), _), *_ = functions.most_common(1)
        seen = (one for one, _ in self.stacks.most_common() if one[1] == inside)
        return next(one for one in seen if _functions(one[0]) == most)

    def places(self) -> tuple[tuple[str, int], ...]:
        """How often the loop was where, by its innermost line of the host's; the most frequent ones."""
        seen: Counter[str] = Counter()
        for (stack, inside), times in self.stacks.items():
            seen[stack[-1] if stack else inside] += times
        return tuple(seen.most_common(_PLACES))


def _is_over(frames: list[FrameType]) -> bool:
    """Whether the loop is done with all it had to do, about to sleep in its selector."""
    above = (one.f_code for one in reversed(frames))
    code = next((code for code in above if not _between(code.co_filename)), None)
    return code is not None and code.co_name == "_run_once" and frames[-1].f_code is not code


def _between(path: str) -> bool:
    return path.startswith(OURS) or os.path.basename(path) == "selectors.py"


def _place(frame: FrameType, root: str) -> str:
    own = next((one for one in outwards(frame) if one.f_code.co_filename.startswith(root)), None)
    return outside(frame) if own is None else line_of(own, root)


def _functions(stack: Stack) -> Stack:
    """The innermost line of a busy function is another one at each look."""
    return tuple(line.rpartition(":")[0] + line.partition(" ")[2] for line in stack)
