"""What is read of the process, each thing as often as its own cost allows."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from autoperf.monitor.cgroup import Limits

INTERVAL_S: Final = 5.0
# Of one core, for each thing that is read at that interval; only what is dear comes seldom, and what moves
# slowly more seldom still.
_SHARE: Final = 0.0001
_SLOW: Final = 0.5
_CHILDREN_NAMED: Final = 20
Read = Callable[[], Mapping[str, Any]]


class Budgeted:
    """One reading that is repeated no sooner than its own CPU time is a given share of what has passed."""

    def __init__(
        self,
        read: Read,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        weight: float = 1.0,
    ) -> None:
        self._read = read
        self._weight = weight
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._before = self._clock()
        self._cost = 0.0

    def read(self, share: float = _SHARE) -> Mapping[str, Any]:
        """The values; none while it is too early for that share of a core, or nobody tells them."""
        now = self._clock()
        if now < self._before + self._cost / (share * self._weight):
            return {}
        before = self._cpu_clock()
        try:
            return self._read()
        except (psutil.Error, OSError, AttributeError, NotImplementedError, ValueError):
            return {}
        finally:
            self._before, self._cost = now, self._cpu_clock() - before


class Readings:
    """Everything that a sample holds of the process and what is around it. For one thread.

    ``state_dir`` is where the local store lies. The first reading has no rates: there is nothing to compare.
    """

    def __init__(
        self,
        state_dir: Path,
        process: Any = None,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
    ) -> None:
        self._process = psutil.Process() if process is None else process
        self._clock = clock
        self._state_dir = state_dir
        self._limits = Limits() if limits is None else limits
        self._before: dict[str, tuple[float, float]] = {}
        slow = (
            self._switches,
            self._unique,
            self._children,
            self._collections,
            self._disk,
            self._limits.read,
        )
        self._parts = [Budgeted(self._usage, clock), *(Budgeted(part, clock, weight=_SLOW) for part in slow)]

    def read(self, interval: float = INTERVAL_S) -> dict[str, Any]:
        """One sample of those taken every ``interval`` seconds; who wants more of them pays for more.

        ``cpu`` in cores, ``memory`` (resident) and ``unique`` in bytes, ``threads``, ``files``,
        ``switches_voluntary``, ``switches_involuntary``, ``collections`` and ``full_collections`` of the
        garbage collector (each a second), ``children`` (program to count and bytes), ``disk_free`` and
        ``disk_used`` in bytes, and what `Limits.read` gives.
        """
        row: dict[str, Any] = {}
        share = _SHARE * max(1.0, INTERVAL_S / interval)
        with self._process.oneshot():
            for part in self._parts:
                row.update(part.read(share))
        return row

    def _rate(self, name: str, total: float) -> dict[str, float]:
        now = self._clock()
        before, self._before[name] = self._before.get(name), (total, now)
        if before is None or now <= before[1]:
            return {}
        return {name: round(max(0.0, total - before[0]) / (now - before[1]), 4)}

    def _usage(self) -> dict[str, Any]:
        times = self._process.cpu_times()
        row: dict[str, Any] = self._rate("cpu", times.user + times.system)
        row["memory"] = self._process.memory_info().rss
        row["threads"] = self._process.num_threads()
        if hasattr(self._process, "num_fds"):  # not on Windows
            row["files"] = self._process.num_fds()
        return row

    def _switches(self) -> dict[str, Any]:
        switches = self._process.num_ctx_switches()
        voluntary = self._rate("switches_voluntary", switches.voluntary)
        return voluntary | self._rate("switches_involuntary", switches.involuntary)

    def _unique(self) -> dict[str, Any]:
        return {"unique": self._process.memory_full_info().uss}

    def _children(self) -> dict[str, Any]:
        programs: dict[str, list[int]] = {}
        for child in self._process.children(recursive=True):
            try:
                name = "(zombie)" if child.status() == psutil.STATUS_ZOMBIE else child.name()
                memory = child.memory_info().rss
            except (psutil.Error, OSError):
                continue
            sums = programs.setdefault(name[:50], [0, 0])
            sums[0] += 1
            sums[1] += memory
        largest = sorted(programs.items(), key=lambda item: -item[1][1])
        return {"children": dict(largest[:_CHILDREN_NAMED])}

    def _collections(self) -> dict[str, Any]:
        totals = [generation["collections"] for generation in gc.get_stats()]
        return self._rate("collections", sum(totals)) | self._rate("full_collections", totals[-1])

    def _disk(self) -> dict[str, Any]:
        held = 0
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self._state_dir) as entries,
        ):
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # logs of the database come and go
                    held += entry.stat().st_size if entry.is_file() else 0
        folder = next(f for f in (self._state_dir, *self._state_dir.parents) if f.is_dir())
        return {"disk_free": shutil.disk_usage(folder).free, "disk_used": held}
