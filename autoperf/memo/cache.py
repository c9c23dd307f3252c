"""A cache that is bounded, ages, checks freshness at every hit, and loads each key once at a time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from autoperf.memo.snapshot import Stamp

V = TypeVar("V")
_FLIGHT_PATIENCE_S = 5.0


class CacheInfo(NamedTuple):
    """Measured statistics; the first four names are `functools.lru_cache`'s.

    ``loads`` are completed loads, ``invalidations`` entries dropped because what they came from had changed,
    ``expirations`` entries dropped for age, ``reexecutions`` runs of cached code (class caches only).
    ``seconds_saved`` is what users of the cache have reported with `Cache.saved`.
    """

    hits: int
    misses: int
    maxsize: int
    currsize: int
    loads: int
    evictions: int
    invalidations: int
    expirations: int
    reexecutions: int
    ttl: float
    seconds_loading: float
    seconds_saved: float

    def as_row(self) -> dict[str, Any]:
        """A plain mapping, seconds rounded to the microsecond."""
        row = self._asdict()
        row["seconds_loading"] = round(self.seconds_loading, 6)
        row["seconds_saved"] = round(self.seconds_saved, 6)
        return row


class _Entry(Generic[V]):
    __slots__ = ("loaded_at", "settled", "stamp", "value")

    def __init__(self, value: V, stamp: Stamp, settled: bool, loaded_at: float) -> None:
        self.value = value
        self.stamp = stamp
        self.settled = settled
        self.loaded_at = loaded_at


class _Flight:
    __slots__ = ("done", "owner")

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self.done = threading.Event()


class Cache(Generic[V]):
    """LRU with a time to live counted from the load, not from the last hit.

    ``clock`` gives monotonic seconds, ``wall_ns`` Unix time in ns; both are injected for tests. Thread-safe.
    A load that raises is never kept: its exception passes, and whoever waited loads for himself.
    """

    def __init__(
        self,
        maxsize: int,
        ttl: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.maxsize = maxsize
        self.ttl = ttl
        self._clock = clock
        self._wall_ns = wall_ns
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}
        self._lock = threading.RLock()
        self._hits = self._misses = self._loads = 0
        self._evictions = self._invalidations = self._expirations = self._reexecutions = 0
        self._seconds_loading = self._seconds_saved = 0.0

    def get_or_load(
        self,
        key: Hashable,
        load: Callable[[], V],
        stamp: Callable[[], Stamp],
    ) -> V:
        """The value of ``key``, loaded when absent, aged or changed.

        ``stamp()`` is taken at every call; at a load it is taken before loading, so that a change while
        loading shows at the next call. What ``load`` raises passes through.
        """
        current = stamp()
        found = self._fresh(key, current)
        flight = None if found is not None else self._claim(key)
        if found is None and flight is None:
            current = stamp()
            found = self._fresh(key, current)
        return self._load(key, load, current, flight) if found is None else found.value

    def find(self, key: Hashable, stamp: Stamp) -> V | None:
        """The value of ``key`` if it is fresh, counted as a hit; None otherwise, counted when it is kept."""
        entry = self._fresh(key, stamp)
        return None if entry is None else entry.value

    def hit(self, key: Hashable, value: V, signature: Hashable, saved: float) -> bool:
        """Whether ``value`` is kept for ``key`` and fresh; then a hit, which spared ``saved`` seconds.

        ``signature`` is that of the stamp taken now. Where it is not so nothing is counted or dropped.
        """
        with self._lock:
            entry = self._entries.get(key)
            if (
                entry is None
                or entry.value is not value
                or not entry.settled
                or entry.stamp.signature != signature
                or self._clock() - entry.loaded_at >= self.ttl
            ):
                return False
            self._entries.move_to_end(key)
            self._hits += 1
            self._seconds_saved += saved
            return True

    def keep(self, key: Hashable, value: V, stamp: Stamp, seconds: float) -> None:
        """Keep what a caller loaded itself, in ``seconds``, after taking ``stamp``: a miss and a load."""
        with self._lock:
            self._misses += 1
            self._loads += 1
            self._seconds_loading += seconds
            self._put(key, value, stamp, self._wall_ns() - int(seconds * 1e9), self._clock())

    def _fresh(self, key: Hashable, current: Stamp) -> _Entry[V] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if self._clock() - entry.loaded_at >= self.ttl:
                self._entries.pop(key, None)
                self._expirations += 1
                return None
            if not entry.settled or entry.stamp != current:
                self._entries.pop(key, None)
                self._invalidations += 1
                return None
            self._entries.move_to_end(key)
            self._hits += 1
            return entry

    def _claim(self, key: Hashable) -> _Flight | None:
        # A load may import what asks for the same key: the same thread never waits for itself, and two
        # threads that wait for each other's loads give up after a while and load on their own.
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = self._flights[key] = _Flight()
                return flight
        if flight.owner != threading.get_ident():
            flight.done.wait(_FLIGHT_PATIENCE_S)
        return None

    def _load(self, key: Hashable, load: Callable[[], V], stamp: Stamp, flight: _Flight | None) -> V:
        with self._lock:
            self._misses += 1
        seen_at = self._wall_ns()
        started = self._clock()
        try:
            value = load()
            with self._lock:
                self._loads += 1
                self._seconds_loading += self._clock() - started
                self._put(key, value, stamp, seen_at, started)
            return value
        finally:
            if flight is not None:
                with self._lock:
                    del self._flights[key]
                flight.done.set()

    def _put(self, key: Hashable, value: V, stamp: Stamp, seen_at: int, started: float) -> None:
        self._entries[key] = _Entry(value, stamp, stamp.settled(seen_at), started)
        self._entries.move_to_end(key)
        self._shrink()

    def _shrink(self) -> None:
        while len(self._entries) > self.maxsize:
            self._entries.popitem(last=False)
            self._evictions += 1

    def forked(self) -> None:
        """In a child made by fork: forget locks and loads of threads that do not exist there."""
        self._lock = threading.RLock()
        self._flights = {}

    def peek(self, key: Hashable) -> V | None:
        """The value kept for ``key``, fresh or not, without counting or touching anything."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def keys(self) -> list[Hashable]:
        """The keys kept at this moment, fresh or not, least recently used first."""
        with self._lock:
            return list(self._entries)

    def fresh(self, key: Hashable, stamp: Stamp) -> V | None:
        """What a look-up with ``stamp`` would find for ``key``; counts and touches nothing."""
        entry = self._entries.get(key)
        if entry is None or self._clock() - entry.loaded_at >= self.ttl:
            return None
        return entry.value if entry.settled and entry.stamp == stamp else None

    def reexecuted(self) -> None:
        """Note that a hit was served by executing kept code again."""
        with self._lock:
            self._reexecutions += 1

    def saved(self, seconds: float) -> None:
        """Note that a hit spared ``seconds``: the measured time of a warm load of the same key."""
        with self._lock:
            self._seconds_saved += seconds

    def resize(self, maxsize: int) -> None:
        """Set how many entries are kept; the least recently used ones beyond that go."""
        if maxsize < 1:
            raise ValueError("maxsize must be 1 or more")
        with self._lock:
            self.maxsize = maxsize
            self._shrink()

    def expire(self) -> int:
        """Drop entries older than the time to live; how many there were. For idle moments."""
        with self._lock:
            limit = self._clock() - self.ttl
            old = [key for key, entry in self._entries.copy().items() if entry.loaded_at <= limit]
            for key in old:
                self._entries.pop(key, None)
            self._expirations += len(old)
            return len(old)

    def clear(self) -> int:
        """Drop everything; how many entries there were. Statistics stay."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            return count

    def info(self) -> CacheInfo:
        """Statistics at this moment."""
        with self._lock:
            return CacheInfo(
                hits=self._hits,
                misses=self._misses,
                maxsize=self.maxsize,
                currsize=len(self._entries),
                loads=self._loads,
                evictions=self._evictions,
                invalidations=self._invalidations,
                expirations=self._expirations,
                reexecutions=self._reexecutions,
                ttl=self.ttl,
                seconds_loading=self._seconds_loading,
                seconds_saved=self._seconds_saved,
            )
