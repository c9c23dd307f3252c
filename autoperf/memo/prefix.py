"""What was worked out for texts that still grow, found again by what they begin with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

# Chats at once, times the few texts that the host cuts out of each reply.
MAX_KEYS: Final = 256
MAX_PER_KEY: Final = 8
IDLE_S: Final = 5.0


class Entry:
    """``work`` is good for every text that begins with ``prefix``; it belongs to whoever claimed it."""

    __slots__ = ("prefix", "used", "work")

    def __init__(self, prefix: str, work: Any = None) -> None:
        self.prefix = prefix
        self.work = work
        self.used = 0.0


class GrowingTexts:
    """A bounded table of entries, in buckets by their first ``key_size`` characters.

    An entry is claimed by one thread at a time; locks are held briefly."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, key_size: int = 64) -> None:
        self._clock = clock
        self._key_size = key_size
        self._lock = threading.RLock()
        self._entries: dict[str, list[Entry]] = {}
        self._expired = clock()
        self.resumed = 0
        self.handed_on = 0

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._entries.values()))

    def claim(self, text: str) -> Entry | None:
        """Take out the entry that ``text`` goes on from the furthest, to be given back with `keep`."""
        with self._lock:
            bucket = self._entries.get(text[: self._key_size])
            best: Entry | None = None
            for entry in bucket or ():
                if (best is None or len(entry.prefix) > len(best.prefix)) and text.startswith(entry.prefix):
                    best = entry
            if bucket is not None and best is not None:
                bucket.remove(best)
            return best

    def keep(self, entry: Entry) -> None:
        """Put an entry into the table; where there are too many, those unused for longest go."""
        key = entry.prefix[: self._key_size]
        entry.used = self._clock()
        with self._lock:
            bucket = self._entries.pop(key, None) or []
            bucket.append(entry)
            del bucket[:-MAX_PER_KEY]
            self._entries[key] = bucket
            if len(self._entries) > MAX_KEYS:
                del self._entries[next(iter(self._entries))]
        if entry.used - self._expired > IDLE_S:
            self.expire()

    def expire(self) -> None:
        """Drop what no text has gone on from for a while: the answers that have ended."""
        self._expired = self._clock()
        oldest = self._expired - IDLE_S
        with self._lock:
            for key, bucket in list(self._entries.items()):
                bucket[:] = [entry for entry in bucket if entry.used >= oldest]
                if not bucket:
                    del self._entries[key]

    def clear(self) -> int:
        """Forget everything, as if no text had begun; how many entries there were."""
        with self._lock:
            count = sum(map(len, self._entries.values()))
            self._entries.clear()
            return count

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.RLock()

    def as_row(self) -> dict[str, int]:
        """Plain numbers for ``status``: texts gone on from, and texts read from their start by the host."""
        return {"resumed": self.resumed, "handed_on": self.handed_on, "kept": len(self)}
