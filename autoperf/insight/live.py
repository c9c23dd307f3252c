"""One recorded process as it is right now: what is said of it, and its latest samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoperf.insight import processes
from autoperf.insight.facts.process import Process
from autoperf.monitor.samples import samples
from autoperf.telemetry.store.store import Store

# What a line of a terminal can show of the past, at the monitor's default interval.
_PAST_S: Final = 900.0


@dataclass(frozen=True)
class View:
    """One process and its ``samples``, oldest first."""

    process: Process
    samples: tuple[dict[str, Any], ...] = ()


class Follower:
    """Reads the store in ``directory``, and nothing of the process but whether it lives; writes nothing.

    Without ``pid`` it follows the newest process that runs, and goes over to another when that one has ended.
    """

    def __init__(
        self, directory: Path, pid: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._pid = pid
        self._clock = clock
        self._row: dict[str, Any] | None = None

    def look(self) -> View | None:
        """The process as it is now; None when none has been recorded."""
        row = self._row and processes.again(self._directory, self._row)
        found = None if row is None else processes.as_seen(self._directory, row, self._clock)
        if found is None or not found.ending.running:
            found = processes.seen(self._directory, self._pid, self._clock)
        self._row = None if found is None else dict(found.record)
        return None if found is None else self._view(found)

    def _view(self, process: Process) -> View:
        row = process.record
        until = process.now if process.ending.running else float(row.get("updated") or process.now)
        begun = float(row.get("started") or 0.0)
        # A pid is given out again: what is older than the process belongs to another.
        past = samples(Store.open(self._directory), max(begun, until - _PAST_S))
        return View(process, tuple(one for one in past if one["pid"] == row.get("pid")))
