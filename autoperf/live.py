"""One recorded process as it is right now: its record, whether it runs, and its latest samples and stalls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autoperf import processes
from autoperf.monitor.archive import samples, stalls
from autoperf.store import Store

# What a line of a terminal can show of the past, at the monitor's default interval.
_PAST_S: Final = 900.0
_STALLS_PAST_S: Final = 3600.0
# Twice the interval is a late sample; a busy disk or a busy machine makes them later still.
_LATE_INTERVALS: Final = 3
_LATE_S: Final = 10.0


@dataclass(frozen=True)
class View:
    """One process at ``now`` (s since the epoch); ``samples`` and ``stalls`` are oldest first.

    ``condition`` is empty while all is well, else what is wrong, for a person.
    """

    row: dict[str, Any]
    running: bool
    now: float
    samples: tuple[dict[str, Any], ...] = ()
    stalls: tuple[dict[str, Any], ...] = ()
    condition: str = ""


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
        running = row is not None and processes.runs(row)
        if row is None or not running:
            limit = 1000 if self._pid else 50
            row = processes.chosen(processes.newest(self._directory, limit), self._pid)
            running = row is not None and processes.runs(row)
        self._row = row
        return None if row is None else self._view(row, running)

    def _view(self, row: dict[str, Any], running: bool) -> View:
        now = self._clock()
        until = now if running else float(row.get("updated") or now)
        store, pid, begun = Store.open(self._directory), row.get("pid"), float(row.get("started") or 0.0)
        # A pid is given out again: what is older than the process belongs to another.
        past = [one for one in samples(store, max(begun, until - _PAST_S)) if one["pid"] == pid]
        stalled = [one for one in stalls(store, max(begun, until - _STALLS_PAST_S)) if one["pid"] == pid]
        return View(row, running, now, tuple(past), tuple(stalled), condition(row, running, now))


def condition(row: dict[str, Any], running: bool, now: float) -> str:
    """What is wrong with the process, if anything: ended, stopped, or silent though samples are due."""
    if not running:
        ended = row.get("ended") is not None
        return "it has ended" if ended else "it is gone without having said so: killed, or crashed"
    if _stopped(row.get("pid")):
        return "it is stopped (SIGSTOP); kill -CONT lets it go on"
    monitor = row.get("monitor") or {}
    silent = now - float(row.get("updated") or now)
    if monitor.get("running") and silent > _LATE_INTERVALS * float(monitor.get("interval") or 0) + _LATE_S:
        return f"no sign of life for {silent:.0f} s: it hangs with Python's interpreter held, or cannot write"
    return ""


def _stopped(pid: Any) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP))
    except (psutil.Error, OSError, TypeError, ValueError):
        return False
