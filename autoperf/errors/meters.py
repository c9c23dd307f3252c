"""What our own code takes of the host's threads: the fence times some of its calls on the thread's CPU clock.

The host's code is in none of these times, and is never run for the sake of one. Until 32 calls of a seam are
timed it is every call, then one of 2, after 32 more one of 4, and so on to one of 256 in the mean; the
distance is drawn, so that it keeps step with nothing the host does.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from autoperf.errors import fail_open
from autoperf.errors.calls import AsyncCall, Call, Function

_SEAM: Final = "own cost"
_EACH: Final = 32
_WIDEST: Final = 8  # doublings
# A linear congruential generator (Knuth, MMIX): `random` is the host's, which may have seeded it.
_FACTOR: Final = 6364136223846793005
_TERM: Final = 1442695040888963407
_MASK: Final = (1 << 64) - 1

LIGHT: Final = "light"
FULL: Final = "full"
ASYNC: Final = "async"
NONE: Final = "none"
EMPTY: Final = "an empty fence"  # the seam of those

clock: Callable[[], int] = time.thread_time_ns
# By kind, a fence with nothing in it around nothing; see `autoperf.errors.emptyfences`.
empty_fences: Final[dict[str, Callable[[], None]]] = {}


def fence_ns(kind: str) -> int:
    """What a fence of this ``kind`` takes around what is timed, here and now: an empty one is called."""
    empty = empty_fences.get(kind)
    if empty is None:
        return 0
    begun, since = clock(), clock()
    empty()
    return max(0, clock() - since - (since - begun))


class Meter:
    """The calls of one seam: how many, how many of them were timed, and what all of them took."""

    __slots__ = ("_drawn", "_state", "_weights", "left", "seam", "squares", "surplus", "timed", "total")

    def __init__(self, seam: str) -> None:
        self.seam = seam
        self._state = 0
        self.restart()

    def never(self) -> None:
        """Time no call, as none of an empty fence that is called to be timed itself."""
        self.left = 1 << 62

    def restart(self) -> None:
        """Begin anew."""
        self.timed = 0
        self.total = 0.0
        self.squares = 0.0
        self.surplus = 0.0
        self._weights = 0
        self._drawn = 1
        self.left = 0  # calls that go by untimed; the fence counts down

    def call(self, function: Function) -> Call:
        """One call that is timed."""
        try:
            made = _TimedCall(function)
            made.begin(self, self._draw(), fence_ns(FULL))
            return made
        except Exception as error:
            fail_open(_SEAM, error)
            return Call(function)

    def async_call(self, function: Function) -> AsyncCall:
        """The same of a coroutine function."""
        try:
            made = _TimedAsyncCall(function)
            made.begin(self, self._draw(), fence_ns(ASYNC))
            return made
        except Exception as error:
            fail_open(_SEAM, error)
            return AsyncCall(function)

    def run(self, function: Function, args: Any, kwargs: Any, fence: str = LIGHT) -> Any:
        """Call ``function``, all of which is ours, timed."""
        weight = self._draw()
        beside = fence_ns(fence)
        begun, since = clock(), clock()
        try:
            return function(*args, **kwargs)
        finally:
            try:
                self.add(clock() - since - (since - begun) + beside, weight)
            except Exception as error:  # what has begun is to be ended, timed or not
                fail_open(_SEAM, error)

    @contextmanager
    def block(self) -> Iterator[None]:
        """A block of ours that the fence does not see: every one is timed."""
        begun, since = clock(), clock()
        try:
            yield
        finally:
            self.add(clock() - since - (since - begun), 1)

    def _draw(self) -> int:
        """How many calls the one that is timed now stands for; the next distance is drawn."""
        weight = self._drawn
        widest = 1 << min(self.timed // _EACH, _WIDEST)
        self._state = (self._state * _FACTOR + _TERM) & _MASK
        self._drawn = 1 + (self._state >> 33) % (2 * widest - 1)
        self.left = self._drawn - 1
        return weight

    def add(self, ns: int, weight: int) -> None:
        """One call took ``ns``, less what reading the clock takes, and stands for ``weight`` calls."""
        spent = max(0, ns)
        self.timed += 1
        self._weights += weight
        self.total += weight * spent
        self.squares += weight * spent * spent
        self.surplus += weight * (weight - 1)

    @property
    def calls(self) -> int:
        """All calls of the fence so far, timed or not."""
        return self._weights + max(0, self._drawn - 1 - max(0, self.left))

    def seconds(self) -> tuple[float, float]:
        """What all calls took, and twice its standard error."""
        weights = self._weights
        if not weights:
            return 0.0, 0.0
        mean = self.total / weights
        variance = max(0.0, self.squares / weights - mean * mean)
        return mean * self.calls / 1e9, 2 * math.sqrt(self.surplus * variance) / 1e9


class _Timed:
    """The time before and after the host's function, on one thread; a call that changes it is left out."""

    timed = True

    def begin(self, meter: Meter, weight: int, beside: int) -> None:
        """The wrapper is about to be called, for ``weight`` calls; ``beside`` ns are the fence's own."""
        self._meter, self._weight = meter, weight
        self._spent = beside
        self._thread = threading.get_ident()
        begun = clock()
        self._since = clock()
        self._lag = self._since - begun

    def pause(self) -> None:
        """The host's function begins."""
        self._spent += clock() - self._since - self._lag

    def resume(self) -> None:
        """It has ended."""
        self._since = clock()

    def over(self) -> None:
        """The wrapper has returned or raised."""
        try:
            self.pause()
            if self._thread == threading.get_ident():
                self._meter.add(self._spent, self._weight)
        except Exception as error:  # the host's call is over: it would see this
            fail_open(_SEAM, error)


class _TimedCall(_Timed, Call):
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self.pause()
        try:
            result = Call.__call__(self, *args, **kwargs)
        except BaseException:
            self.resume()
            del self  # as in `Call`
            raise
        self.resume()
        return result


class _TimedAsyncCall(_Timed, AsyncCall):
    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self.pause()
        try:
            result = await AsyncCall.__call__(self, *args, **kwargs)
        except BaseException:
            self.resume()
            del self
            raise
        self.resume()
        return result


class Meters:
    """The meters of one process by seam, and the CPU time of our own threads by name."""

    def __init__(self) -> None:
        self._by_seam: dict[str, Meter] = {}
        self._threads: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def of(self, seam: str) -> Meter:
        """The one meter of ``seam``."""
        return self._by_seam.setdefault(seam, Meter(seam))

    def restart(self) -> None:
        """Begin anew: another start, or a child made by fork."""
        self._threads, self._ended = {}, {}
        for seam, meter in list(self._by_seam.items()):
            if seam != EMPTY:
                meter.restart()

    def thread(self, *, ends: bool = False) -> None:
        """Note what the calling thread, which is ours, has taken of the CPU so far."""
        name = threading.current_thread().name
        seconds = self._ended.get(name, 0.0) + time.thread_time()
        self._threads[name] = seconds
        if ends:
            self._ended[name] = seconds

    def as_row(self) -> dict[str, Any]:
        """CPU seconds: those of each seam, with twice their standard error, and of each thread of ours."""
        seams = []
        for meter in list(self._by_seam.values()):
            if meter.timed:
                seconds, error = meter.seconds()
                row = {"seam": meter.seam, "calls": meter.calls, "timed": meter.timed}
                seams.append({**row, "seconds": round(seconds, 6), "error": round(error, 6)})
        threads = {name: round(seconds, 6) for name, seconds in list(self._threads.items())}
        return {"seams": seams, "threads": threads}


meters: Final = Meters()
