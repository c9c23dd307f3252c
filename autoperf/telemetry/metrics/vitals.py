"""What the operating system says of this process: CPU, memory, threads, files, context switches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import psutil


class Vitals:
    """Reads this process; what the system does not tell is left out. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._process = psutil.Process()
        self._at = clock()
        self._times = self._process.cpu_times()

    def read(self) -> dict[str, float]:
        """``cpu_user`` and ``cpu_system`` (share of all CPUs this process may use, since the last reading),
        ``memory`` (bytes), ``threads``, ``files``, ``switches_voluntary`` and ``switches_involuntary``.
        """
        row = self._cpu()
        with self._process.oneshot():
            for key, read in self._readers().items():
                try:
                    row[key] = read()
                except (psutil.Error, OSError, AttributeError, NotImplementedError):
                    continue
        return row

    def _readers(self) -> dict[str, Callable[[], Any]]:
        process = self._process
        return {
            "memory": lambda: process.memory_info().rss,
            "threads": process.num_threads,
            "files": lambda: process.num_fds(),  # not on Windows
            "switches_voluntary": lambda: process.num_ctx_switches().voluntary,
            "switches_involuntary": lambda: process.num_ctx_switches().involuntary,
        }

    def _cpu(self) -> dict[str, float]:
        now, times = self._clock(), self._process.cpu_times()
        before, since, self._at, self._times = self._times, now - self._at, now, times
        if since <= 0:
            return {}
        available = since * _cpus()
        return {
            "cpu_user": max(0.0, times.user - before.user) / available,
            "cpu_system": max(0.0, times.system - before.system) / available,
        }


def _cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
