"""A sampling profiler: looks at every thread's stack many times a second, from a thread of its own."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Final, Literal

from autoperf.errors import guarded
from autoperf.errors.frames import OURS
from autoperf.errors.meters import meters
from autoperf.monitor.frames import held, outwards, waits
from autoperf.monitor.threads import cpu_ns

INTERVAL_S: Final = 0.01
# Of the time between two looks, so that many deep stacks are looked at less often instead.
_SHARE: Final = 0.03
_FUNCTIONS_KEPT: Final = 5000
_PAUSED_S: Final = 0.2
_PATIENCE_S: Final = 1800.0  # of pausing, all together: what was waited for may never come
_WORKING: Final = 0.05  # of the time between two readings: a thread with less CPU time does next to nothing
Owner = Literal["host", "autoperf", "library"]
Frames = Callable[[], Mapping[int, FrameType]]


@dataclass(frozen=True)
class Function:
    """Whose code it is, where it stands (relative to the host's folder or to a library's), and its name."""

    owner: Owner
    place: str
    name: str


@dataclass
class Profile:
    """What was seen: a look at a busy thread counts 1.

    ``own`` counts it for the innermost function, ``within`` for all around it too, and ``host`` for the
    host's own function that is the innermost one of the host's. ``seconds`` is the time of looking, ``cost``
    the CPU time it took; both in seconds. ``busy`` counts by the name of the thread.
    """

    looks: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    busy: Counter[str] = field(default_factory=Counter)
    own: Counter[Function] = field(default_factory=Counter)
    within: Counter[Function] = field(default_factory=Counter)
    host: Counter[Function] = field(default_factory=Counter)

    @property
    def samples(self) -> int:
        """Looks at busy threads, all together."""
        return sum(self.busy.values())


class Standing:
    """Which threads stand still: no event loop runs on them, and they have had next to no CPU time lately.

    An event loop that stands is no thread that waits for work: everything on it waits. CPU time is read
    by ``cpu_ns`` about five times a second; where the system does not tell, a thread that is
    at the instruction of the last look stands.
    """

    def __init__(self, cpu_ns: Callable[[int], int | None] = cpu_ns) -> None:
        self._cpu_ns = cpu_ns
        self._places: dict[int, tuple[int, int]] = {}
        self._loops: dict[int, bool] = {}
        self._spent: dict[int, int] = {}
        self._working: dict[int, bool] = {}
        self._read_at = 0.0

    def measure(self, native: Mapping[int, int | None], now: float) -> None:
        """Read how much CPU time each thread (its ident to the system's number) has had since last time."""
        least, self._read_at = _WORKING * (now - self._read_at) * 1e9, now
        before, self._spent = self._spent, {}
        for ident, number in native.items():
            spent = None if number is None else self._cpu_ns(number)
            if spent is not None:
                self._spent[ident] = spent
        known = self._spent.keys() & before.keys()
        self._working = {ident: self._spent[ident] - before[ident] >= least for ident in known}
        self._loops.clear()

    def still(self, ident: int, frame: FrameType) -> bool:
        """Whether that thread stands still, now that its innermost frame is ``frame``."""
        place = id(frame), frame.f_lasti
        before, self._places[ident] = self._places.get(ident), place
        loop = self._loops.get(ident)
        if loop is None:
            loop = self._loops[ident] = _in_loop(frame)
        working = self._working.get(ident)
        return not loop and (before == place if working is None else not working)


def _in_loop(frame: FrameType | None) -> bool:
    return any(one.f_code.co_name == "run_forever" for one in outwards(frame))


class Sampler:
    """Looks every ``interval`` seconds from `start` on, until `stop` or for ``limit`` seconds of looking.

    ``phase`` is asked about five times a second: ``look``, ``pause`` or ``end``. Wall time counts: what
    blocks a thread in C is seen in the Python function that called it. A look has to wait for the
    interpreter's lock, so functions that release it (files, sockets, some C code) are seen too often: up to
    5 ms of work before such a call are counted for it.
    """

    def __init__(
        self,
        root: str,
        phase: Callable[[], str],
        limit: float,
        *,
        interval: float = INTERVAL_S,
        frames: Frames = sys._current_frames,
    ) -> None:
        self.profile = Profile()
        self._root = os.path.join(os.path.realpath(root), "")
        self._phase = phase
        self._limit = limit
        self._interval = interval
        self._frames = frames
        self._known: dict[CodeType, Function] = {}
        self._standing = Standing()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autoperf-profile", daemon=True)

    @property
    def running(self) -> bool:
        """Whether it goes on looking."""
        return self._thread.is_alive() and not self._over.is_set()

    def start(self) -> None:
        """Begin; once. Raises ``RuntimeError`` where no thread can be started any more."""
        self._thread.start()

    def stop(self) -> Profile:
        """End, at the latest after the look that goes on, and hand out what was seen."""
        self._over.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)
        return self.profile

    def _run(self) -> None:
        with guarded("profile"):
            asked_at, phase, last = 0.0, "look", time.monotonic()
            pause, afresh = self._interval, True
            until = last + self._limit + _PATIENCE_S
            while not self._over.wait(pause):
                now = time.monotonic()
                if now - asked_at >= _PAUSED_S:
                    asked_at, phase = now, self._phase()
                    self._standing.measure({t.ident or 0: t.native_id for t in threading.enumerate()}, now)
                if phase == "end" or self.profile.seconds >= self._limit or now >= until:
                    break
                if phase == "pause":
                    pause, afresh = _PAUSED_S, True
                    continue
                if afresh:
                    # Which threads wait is known of those looked at before, and measured twice.
                    self._stacks()
                    pause, last, afresh, asked_at = self._interval, now, False, 0.0
                    continue
                self.profile.seconds += now - last
                last = now
                pause = self._look()
        self._over.set()
        meters.thread(ends=True)

    def _look(self) -> float:
        before = time.thread_time()
        self.note(self._stacks())
        cost = time.thread_time() - before
        self.profile.cost += cost
        return max(self._interval, cost / _SHARE)

    def _stacks(self) -> list[tuple[str, FrameType]]:
        """Name and innermost frame of every thread that does not stand still."""
        names = {thread.ident: str(held(thread, "_name")) for thread in threading.enumerate()}
        still = self._standing.still
        found = self._frames().items()
        return [(names.get(ident, "?"), frame) for ident, frame in found if not still(ident, frame)]

    def note(self, stacks: Iterable[tuple[str, FrameType]]) -> None:
        """Count one look at threads, each with its name and innermost frame; ours do not count."""
        profile = self.profile
        profile.looks += 1
        for thread, innermost in stacks:
            if thread.startswith("autoperf") or waits(innermost):
                continue
            profile.busy[thread] += 1
            stack = self._stack(innermost)
            profile.own[stack[0]] += 1
            own = next((function for function in stack if function.owner == "host"), None)
            if own is not None:
                profile.host[own] += 1
            for function in set(stack):
                if function in profile.within or len(profile.within) < _FUNCTIONS_KEPT:
                    profile.within[function] += 1

    def _stack(self, frame: FrameType | None) -> list[Function]:
        return [self._function(one.f_code) for one in outwards(frame)]

    def _function(self, code: CodeType) -> Function:
        known = self._known.get(code)
        if known is None:
            known = self._known[code] = described(code, self._root)
        return known


def described(code: CodeType, root: str) -> Function:
    """Whose function it is; ``root`` ends with a separator."""
    path = code.co_filename
    name = getattr(code, "co_qualname", code.co_name)
    if path.startswith(OURS):
        return Function("autoperf", f"autoperf/{path[len(OURS) :]}:{code.co_firstlineno}", name)
    parts = path.replace("\\", "/").split("/")
    # An environment often lies in the host's folder.
    installed = next((i for i, part in enumerate(parts) if part in ("site-packages", "dist-packages")), None)
    if installed is not None:
        return Function("library", f"{'/'.join(parts[installed + 1 :])}:{code.co_firstlineno}", name)
    if path.startswith(root):
        return Function("host", f"{path[len(root) :]}:{code.co_firstlineno}", name)
    return Function("library", f"{'/'.join(parts[-2:])}:{code.co_firstlineno}", name)
