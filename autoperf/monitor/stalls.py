"""Which event loops stall, where the host is while one does, and what the cause is."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from autoperf.errors import guarded
from autoperf.monitor.causes import Cause, Measured
from autoperf.monitor.cgroup import Limits
from autoperf.monitor.looks import Look, Stack, Whereabouts
from autoperf.monitor.loops import THRESHOLD_S, Busy, Clock, Over, running
from autoperf.monitor.threads import Snapshot, Usage, delay, own_usage, ready, snapshot, usage_of

# Earlier than what counts, so that the shortest stall is looked at too, several times a second.
_LOOK_AFTER_S: Final = 0.1
_LOOPS_KEPT: Final = 32
_SAMPLES: Final = 12
_RAN_KEPT: Final = 3
# Loops made for a single call come and go by the thousand.
_LONG_LIVED_S: Final = 2.0
# What was read so long before a stall says nothing of it.
_STALE_S: Final = 1.0
_LATE_S: Final = 0.02
_LATE_KEPT: Final = 16
# Who waits for the interpreter lock wakes at each switch interval, less often where the machine is busy.
_ASKS: Final = 0.25


class Stall(NamedTuple):
    """One time that a loop answered nobody: when it began (s since the epoch), for how long, and why.

    ``stack`` names the host's own frames, outermost first, as ``path:line function`` relative to the host's
    folder; empty where the interpreter itself was held and nobody could look. ``inside`` is the function at
    the very end of the stack when it is not the host's; ``chat`` and ``tool`` are empty outside of a turn.
    ``cause`` is one of `causes.Cause`, ``holder`` who held the interpreter lock where that was it.
    ``measured`` are the fields of `causes.Measured` that are known, ``looks`` the lines seen, each with how
    often, and ``ran`` the threads that ran meanwhile: name, place, CPU time (s).
    """

    at: float
    seconds: float
    loop: str
    stack: Stack = ()
    inside: str = ""
    chat: str = ""
    tool: str = ""
    cause: Cause = ""
    holder: str = ""
    measured: Mapping[str, float] = {}
    looks: tuple[tuple[str, int], ...] = ()
    ran: tuple[tuple[str, str, float], ...] = ()


class _Late(NamedTuple):
    """A time in which `Stalls.watch` was to be called; whether the interpreter lock was what it lacked."""

    since: float
    until: float
    locked: bool

    def within(self, since: float, until: float) -> float:
        return max(0.0, min(self.until, until) - max(self.since, since))


class Stalls:
    """The long-lived loops of the process; all but the noting itself happens on the caller's thread.

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
        self._limits = Limits()
        self._before: Snapshot | None = None
        self._own: Usage | None = None
        self._counts = True
        self._late: deque[_Late] = deque(maxlen=_LATE_KEPT)
        self.lasting: list[Stall] = []

    def discover(self) -> None:
        """Look which loops run, and begin to watch those that have run for a while."""
        now, found = self._clock(), {}
        threads = {thread.ident: thread for thread in threading.enumerate()}
        for identity, loop in running():
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

    def watch(self, late: float | None = None) -> list[Stall]:
        """Look at every loop that stalls right now; the stalls that have ended since last time.

        ``lasting`` then holds those that have not. ``late`` is how much later this is called than it was to
        be, in seconds: the caller's thread needs a CPU and the interpreter lock too. None where that is not
        known, as at rest; then nothing is read but of a loop that stalls.
        """
        ended, lasting = [], []
        before, now = self._before, self._clock()
        self._note_late(late, now)
        self._before = snapshot(now) if late is not None and self._loops else None
        for busy in list(self._loops.values()):
            busy.forget_unless_it_runs()
            since = busy.awake_since
            now = self._clock()
            while busy.over:
                ended.append(self._ended(busy, busy.over.popleft(), before))
            if since and now - since >= _LOOK_AFTER_S and since == busy.awake_since:
                look = self._look(busy, since, now, before)
                if now - since >= THRESHOLD_S:
                    lasting.append(self._described(busy, look, now - since))
            elif late is not None:
                busy.note_delay(now)
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

    def _note_late(self, late: float | None, now: float) -> None:
        before, self._own = self._own, None if late is None else own_usage()
        asked = None if self._own is None else self._own.since(before).waits
        if self._own is not None:
            # This thread has waited all its life; a system that says it never did does not count.
            self._counts = bool(self._own.waits)
        if late is not None and late >= _LATE_S and asked is not None:
            locked = asked * sys.getswitchinterval() >= _ASKS * late
            self._late.append(_Late(now - late, now, locked))

    def _look(self, busy: Busy, since: float, now: float, before: Snapshot | None) -> Look:
        look = busy.look
        if look is None or look.since != since:
            look = busy.look = self._begun(busy, since, now, before)
        if now >= look.next_at and look.taken < _SAMPLES:
            look.taken += 1
            look.ready += ready(busy.native)
            look.next_at = now + (now - since) / 2
            frames = sys._current_frames()
            look.note_stack(frames.get(busy.identity), self._root, self._whereabouts)
            with guarded("monitor"):
                look.note_others(self._before or snapshot(now), frames, busy.identity, self._root)
                self._judge(look, now, usage_of(busy.native), busy.before, delay(busy.native))
        return look

    def _ended(self, busy: Busy, over: Over, before: Snapshot | None) -> Stall:
        look, now = busy.look, self._clock()
        if look is None or look.since != over.since:
            look = self._begun(busy, over.since, now, before)
        with guarded("monitor"):
            look.note_others(self._before or snapshot(now), sys._current_frames(), busy.identity, self._root)
            self._judge(look, over.since + over.seconds, over.after, over.before, over.delay)
        return self._described(busy, look, over.seconds)

    def _begun(self, busy: Busy, since: float, now: float, before: Snapshot | None) -> Look:
        stale = since - _STALE_S
        look = Look(since, before if before is not None and before.at >= stale else None)
        if busy.delayed is None or busy.delayed[0] < stale:
            busy.note_delay(now)
        look.counted = {name: (now, value) for name, value in self._limits.withheld().items()}
        if busy.delayed is not None:
            look.counted["delayed"] = busy.delayed
        return look

    def _judge(
        self, look: Look, until: float, used: Usage | None, before: Usage | None, delayed: float | None
    ) -> None:
        late = [
            sum(one.within(look.since, until) for one in self._late if one.locked is of)
            for of in (True, False)
        ]
        used = Usage() if used is None else used.since(before)
        measured = Measured(
            until - look.since,
            *(used if self._counts else used._replace(waits=None)),
            process=look.process,
            ready=look.ready / look.taken if look.taken else None,
            load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            held=late[0],
            stood=late[1],
            **look.grown(until, {**self._limits.withheld(), "delayed": delayed}),
        )
        look.judge(measured, sys.getswitchinterval())

    def _described(self, busy: Busy, look: Look, seconds: float) -> Stall:
        stack, inside = look.where()
        return Stall(
            self._wall_clock() - (self._clock() - look.since),
            round(seconds, 4),
            busy.thread,
            stack,
            inside,
            look.place.get("chat", ""),
            look.place.get("tool", ""),
            look.cause,
            look.holder,
            look.measured,
            look.places(),
            tuple((one.thread, one.place, round(one.cpu, 3)) for one in look.ran()[:_RAN_KEPT]),
        )
