"""A bounded queue and the daemon thread that empties it, so that the host waits for no disk or network."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from autoperf.errors import guarded
from autoperf.errors.meters import meters
from autoperf.errors.standins import nothing, standing_in

T = TypeVar("T")
CAPACITY: Final = 8192
_ATTEMPTS: Final = 4
_LONGEST_PAUSE: Final = 30.0
# At rest: each time a sleeping thread wakes up costs some 0.4 ms, most of it caches that have gone cold.
RESTING_S: Final = 4.0


class _Request:
    """Asks the thread to empty the queue, then run ``action`` and empty it again; ``done`` when it has."""

    def __init__(self, action: Callable[[], None] | None, stop: bool) -> None:
        self.action = action
        self.stop = stop
        self.done = threading.Event()


class Pipeline(Generic[T]):
    """Takes items in O(1) from any thread or signal handler and hands them in batches to ``deliver``.

    ``deliver`` returns False when a batch is to be tried again; after four attempts, one more at the end,
    or when the queue is full, items are dropped and counted. ``tick`` runs about every ``interval`` seconds,
    or every `RESTING_S` while the queue is empty and ``rests()`` true; an item, or `wake`, ends that.
    With ``may_block``, ``deliver`` is never called on another thread than our own. While ``ready()`` is false
    the queue is emptied only when somebody asks for it.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[list[T]], bool],
        *,
        tick: Callable[[], None] | None = None,
        capacity: int = CAPACITY,
        batch: int = 512,
        interval: float = 1.0,
        rests: Callable[[], bool] = bool,
        may_block: bool = False,
        ready: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.dropped = 0
        self.delivered = 0
        self._deliver = deliver
        self._tick = tick
        self._capacity = capacity
        self._batch = batch
        self._interval = interval
        self._rests = rests
        self._may_block = may_block
        self._ready = ready
        self._queue: deque[T] = deque()
        # Unlike an Event's or a Condition's, its put() may interrupt another put() in the same thread.
        self._wake: SimpleQueue[_Request | None] = SimpleQueue()
        self._woken = self._resting = False
        self._counting = threading.RLock()
        self._under_way = 0
        self._failures = 0
        self._retry_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; from Python 3.12 this must not wait until the interpreter shuts down."""
        # Begun anew where it fails: without it nothing would be stored, nor told.
        seam = f"telemetry:{self.name}"
        run = standing_in(seam, self._run, standing_in(seam, self._run, nothing))
        self._thread = threading.Thread(target=run, name=f"autoperf-{self.name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None  # Too late, or no threads left: finish() does the work itself.

    def put(self, item: T) -> None:
        """Queue one item, or count it as dropped."""
        size = len(self._queue)
        if size >= self._capacity:
            with self._counting:
                self.dropped += 1
            return
        self._queue.append(item)
        if (self._resting or size >= self._capacity // 4) and not self._woken:
            self._woken = True
            self._wake.put(None)

    def wake(self) -> None:
        """Something has begun: ``tick`` runs every ``interval`` seconds again. For the host's threads."""
        if self._resting and not self._woken:
            self._woken = True
            self._wake.put(None)

    @property
    def waiting(self) -> int:
        """How many items are queued or being delivered right now."""
        return len(self._queue) + self._under_way

    def ask(self, timeout: float, action: Callable[[], None] | None = None, *, stop: bool = False) -> bool:
        """Have the queue emptied (and the thread ended); False when ``timeout`` seconds were not enough."""
        return self.order(action, stop=stop).wait(max(0.0, timeout))

    def order(self, action: Callable[[], None] | None = None, *, stop: bool = False) -> threading.Event:
        """Like `ask`, but returns at once with what to wait for."""
        request = _Request(action, stop)
        if self._thread is not None and self._thread.is_alive():
            self._wake.put(request)
        elif self._may_block:
            self._drop(len(self._queue))
            self._queue.clear()
            request.done.set()
        else:
            self._serve(request)
        return request.done

    def _run(self) -> None:
        while True:
            request, called = self._sleep()
            meters.thread()
            if called:
                continue  # what follows what has just begun is taken with it
            if request is None:
                with guarded(f"telemetry:{self.name}"):
                    if self._ready is None or self._ready():
                        self._empty()
                self._run_tick()
            else:
                self._serve(request)
                if request.stop:
                    return

    def _sleep(self) -> tuple[_Request | None, bool]:
        """What was asked for in the meantime, and whether only rest was ended."""
        self._resting = True
        # What comes before this is seen here, what comes after it wakes us.
        self._resting = not self._queue and self._at_rest()
        resting = self._resting
        try:
            request = self._wake.get(timeout=RESTING_S if resting else self._interval)
            called = resting and request is None
        except Empty:
            request, called = None, False
        self._resting = self._woken = False
        return request, called

    def _at_rest(self) -> bool:
        with guarded(f"telemetry:{self.name}"):
            return self._rests()
        return False

    def _serve(self, request: _Request) -> None:
        self._retry_at = 0.0
        seam = f"telemetry:{self.name}"
        try:
            with guarded(seam):
                self._empty()
            if request.action is not None:
                with guarded(seam):
                    request.action()
                with guarded(seam):
                    self._empty()
            if request.stop and self._queue:
                with guarded(seam):
                    self._drop(len(self._queue))
                    self._queue.clear()
        finally:
            request.done.set()  # whoever waits for it is the host, at its exit

    def _run_tick(self) -> None:
        if self._tick is not None:
            with guarded(f"telemetry:{self.name}"):
                self._tick()

    def _empty(self) -> None:
        while self._queue and time.monotonic() >= self._retry_at:
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            delivered, self._under_way = False, len(batch)
            with guarded(f"telemetry:{self.name}"):
                delivered = self._deliver(batch)
            self._under_way = 0
            if delivered:
                self.delivered += len(batch)
                self._failures = 0
                continue
            self._failures += 1
            self._retry_at = time.monotonic() + min(_LONGEST_PAUSE, 2.0**self._failures)
            if self._failures % _ATTEMPTS == 0:
                self._drop(len(batch))
            else:
                self._queue.extendleft(reversed(batch))

    def _drop(self, count: int) -> None:
        with self._counting:
            self.dropped += count
