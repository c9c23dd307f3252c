"""How quiet the machine was: a fixed piece of work, timed again and again between the measurements."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Share by which the same work may take longer at one time than at another before it is said.
THRESHOLD = 0.15
_LOOPS = 150_000


def work() -> float:
    """Wall seconds of the fixed work: some 10 ms without waiting, so that more means that others ran."""
    begun = time.perf_counter()
    value = 0
    for number in range(_LOOPS):
        value = (value + number) & 0xFFFF
    return time.perf_counter() - begun


@dataclass
class Noise:
    """Seconds that the same ``timed`` work took; ``load`` is the load average before the measuring."""

    timed: Callable[[], float] = work
    load: float | None = field(
        default_factory=lambda: os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    )
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    readings: list[float] = field(default_factory=list)

    def listen(self) -> None:
        """Time the work once more: before and after each measurement."""
        # The shortest of three: a single interruption of a millisecond is nothing that a long run would feel.
        self.readings.append(min(self.timed() for _ in range(3)))

    @property
    def apart(self) -> float:
        """How much longer the slowest reading was than the fastest, as a share; 0 without readings."""
        return max(self.readings) / min(self.readings) - 1 if self.readings else 0.0

    @property
    def noisy(self) -> bool:
        """Whether ratios of single rounds are to be taken with care."""
        return self.apart > THRESHOLD or (self.load is not None and self.load > self.cores / 2)

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "noisy": self.noisy,
            "apart": self.apart,
            "load_before": self.load,
            "cores": self.cores,
            "readings_seconds": list(self.readings),
        }
