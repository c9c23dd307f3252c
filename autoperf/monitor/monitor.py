"""Looks for stalls several times a second while the host is at work, and takes a sample now and then."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.meters import meters
from autoperf.errors.standins import nothing, standing_in
from autoperf.monitor.readings import Readings
from autoperf.monitor.stalls import Stall, Stalls

# No longer than from the moment a stall is looked at to the moment it counts.
_WATCH_S: Final = 0.15
_DISCOVER_S: Final = 2.0
# Samples at a shorter interval cannot wait for a tick.
_TICK_S: Final = 1.0
# While nothing is under way, loops are looked for and samples taken no more often than this.
_RESTING_S: Final = 60.0
_KEPT: Final = 720
_STALLS_KEPT: Final = 256


def checked(interval: float | None) -> None:
    """Raises ``ValueError`` for an interval that is not above 0."""
    if interval is not None and not 0 < interval < float("inf"):
        raise ValueError("interval: use a number of seconds above 0")


class Monitor:
    """Takes samples every ``interval`` seconds on a daemon thread; start and stop it as often as you like.

    ``latest`` and ``recent_stalls`` are for the living process; `take` hands on what is to be stored. Nothing
    here runs on a thread or a loop of the host's. A child made by fork has no monitor until it starts one.

    With ``at_rest`` the thread sleeps while that is true, until `wake`; meanwhile `tick` is called every few
    seconds, on a thread of ours that wakes up anyway. There is a sample a minute at most then, and the stack
    of a stall is only seen if it lasts until such a call.
    """

    def __init__(
        self, readings: Callable[[], Readings], stalls: Callable[[], Stalls], interval: float = 5.0
    ) -> None:
        self.interval = interval
        self.latest: dict[str, Any] = {}
        self.recent_stalls: deque[Stall] = deque(maxlen=_STALLS_KEPT)
        self.lasting: list[Stall] = []
        self.stalls = 0
        self.pulse = 0
        self.cpu_seconds = 0.0
        self.at_rest: Callable[[], bool] | None = None
        self._make_readings, self._make_stalls = readings, stalls
        self._samples: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._to_store: deque[Stall] = deque(maxlen=_STALLS_KEPT)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._awake = threading.Event()
        self._looking = threading.Lock()
        self._parts: tuple[Readings, Stalls] | None = None
        self._next_sample = self._next_discovery = 0.0

    @property
    def running(self) -> bool:
        """Whether samples are being taken."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, interval: float | None = None) -> None:
        """Begin, or go on with another interval in seconds; nothing while the interpreter ends.

        Raises ``ValueError`` for an interval that is not above 0.
        """
        checked(interval)
        with self._changing:
            if interval is not None:
                self.interval = interval
            self._awake.set()
            if self.running:
                return
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=standing_in("monitor", self._run, standing_in("monitor", self._run, nothing)),
                args=(self._stopping,),
                name="autoperf-monitor",
                daemon=True,
            )
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None

    def stop(self) -> None:
        """End the thread, within a second, and leave the host's loops as they were found."""
        with self._changing:
            thread, self._thread = self._thread, None
            self._stopping.set()
            self._awake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)

    def forked(self) -> None:
        """In a child made by fork: the thread stayed with the parent."""
        self._thread = None
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._looking = threading.Lock()
        self._parts = None
        self._samples.clear()
        self._to_store.clear()
        self.recent_stalls.clear()
        self.lasting = []
        self.latest = {}
        self.stalls = 0

    def as_row(self) -> dict[str, Any]:
        """As ``status`` shows it: the interval (s), how many stalls, the last of them, the latest sample.

        ``lasting`` are the stalls that go on, by when they began: how long is for the reader to say.
        """
        last = self.recent_stalls[-1] if self.recent_stalls else None
        return {
            "running": self.running,
            "interval": self.interval,
            "stalls": self.stalls,
            "lasting": [_begun(stall) for stall in self.lasting],
            "last_stall": None if last is None else last._asdict(),
            "sample": self.latest,
        }

    def take(self) -> tuple[list[dict[str, Any]], list[Stall]]:
        """The samples and stalls since last time, oldest first, for the store."""
        samples = [self._samples.popleft() for _ in range(len(self._samples))]
        return samples, [self._to_store.popleft() for _ in range(len(self._to_store))]

    def wake(self) -> None:
        """Something begins that is to be watched closely; cheap, for the host's threads."""
        if not self._awake.is_set():
            self._awake.set()

    def tick(self) -> None:
        """Do what falls due every few seconds while the thread sleeps."""
        if not self._awake.is_set():
            self._look(_RESTING_S)
            if self.lasting:
                self.wake()

    def _run(self, stopping: threading.Event) -> None:
        with guarded("monitor"):
            self._parts = self._make_readings(), self._make_stalls()
            self._next_sample, self._next_discovery = time.monotonic(), 0.0
        try:
            due = time.monotonic() + _WATCH_S
            while self._parts is not None and not stopping.wait(_WATCH_S):
                with guarded("monitor"):
                    self._look(late=max(0.0, time.monotonic() - due))
                    meters.thread()
                    self._rest(stopping)
                due = time.monotonic() + _WATCH_S
        finally:
            meters.thread(ends=True)
            with self._looking:
                parts, self._parts = self._parts, None
                self.lasting = []
                if parts is not None:
                    parts[1].release()

    def _rest(self, stopping: threading.Event) -> None:
        if self.at_rest is None or self.lasting or self.interval < _TICK_S:
            return
        self._awake.clear()
        # What begins before this has found us awake, what begins after it wakes us.
        if not self.at_rest() or stopping.is_set():
            self._awake.set()
        self._awake.wait()

    def _look(self, seldom: float = 0.0, late: float | None = None) -> None:
        with self._looking, guarded("monitor"):
            if self._parts is None:
                return
            before = time.thread_time()
            readings, stalls = self._parts
            now, interval = time.monotonic(), max(self.interval, seldom)
            self._note(stalls.watch(late))
            self._note_lasting(stalls.lasting)
            if now >= self._next_discovery:
                self._next_discovery = now + max(_DISCOVER_S, seldom)
                stalls.discover()
            if now >= self._next_sample:
                self._next_sample = max(self._next_sample + interval, now)
                self._sample(readings, stalls)
            # A shorter interval acts at once, not after the longer one.
            self._next_sample = min(self._next_sample, now + interval)
            self._next_discovery = min(self._next_discovery, now + max(_DISCOVER_S, seldom))
            self.cpu_seconds += time.thread_time() - before

    def _note(self, ended: list[Stall]) -> None:
        for stall in ended:
            self.stalls += 1
            self.recent_stalls.append(stall)
            self._to_store.append(stall)

    def _note_lasting(self, lasting: list[Stall]) -> None:
        if list(map(_begun, lasting)) != list(map(_begun, self.lasting)):
            self.pulse += 1
        self.lasting = lasting

    def _sample(self, readings: Readings, stalls: Stalls) -> None:
        row = readings.read(self.interval)
        row |= {"at": round(time.time(), 3), "lag": stalls.lags(), "monitor_cpu": round(self.cpu_seconds, 4)}
        self.latest = {**self.latest, **row}
        self.pulse += 1
        self._samples.append(row)


def _begun(stall: Stall) -> dict[str, Any]:
    row = stall._asdict()
    # To a tenth: worked out anew each time, the same moment differs by some microseconds.
    return {
        **{key: row[key] for key in ("loop", "stack", "inside", "chat", "tool", "cause", "holder")},
        "at": round(stall.at, 1),
    }
