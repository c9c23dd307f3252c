"""A bounded series of measurements with exact count, total and maximum, and percentiles of the latest."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Any

_KEPT = 512


class Series:
    """Durations in seconds; the latest 512 are kept for percentiles, count, total and maximum cover all.

    Thread-safe.
    """

    __slots__ = ("_latest", "_lock", "count", "maximum", "total")

    def __init__(self, kept: int = _KEPT) -> None:
        self._latest: deque[float] = deque(maxlen=kept)
        self._lock = threading.RLock()
        self.count = 0
        self.total = 0.0
        self.maximum = 0.0

    def add(self, value: float) -> None:
        """Add one measurement."""
        with self._lock:
            self._latest.append(value)
            self.count += 1
            self.total += value
            if value > self.maximum:
                self.maximum = value

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.RLock()

    def as_row(self) -> dict[str, Any]:
        """Count and p50, p95, max, total in milliseconds, as ``status`` shows them."""

        def ms(value: float | None) -> float | None:
            return None if value is None else round(value * 1000, 3)

        with self._lock:
            ordered = sorted(self._latest)
        return {
            "count": self.count,
            "p50_ms": ms(ranked(ordered, 0.5)),
            "p95_ms": ms(ranked(ordered, 0.95)),
            "max_ms": ms(self.maximum) if self.count else None,
            "total_ms": ms(self.total),
        }


def ranked(ordered: list[float], share: float) -> float | None:
    """The value below which ``share`` (0 to 1) of the ``ordered`` lie; None without any.

    Nearest-rank definition: always a value that was measured.
    """
    if not ordered:
        return None
    return ordered[max(1, math.ceil(len(ordered) * share)) - 1]
