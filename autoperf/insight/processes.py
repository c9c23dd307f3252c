"""The processes that autoperf has recorded in the local store, newest first, and which of them still run."""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.wording import duration, printable
from autoperf.insight.facts.ending import ALIVE, GONE, STOPPED
from autoperf.insight.facts.process import Process
from autoperf.telemetry.store import launches, records
from autoperf.telemetry.store.sqlite import sqlite3

# The system's start of a process and the wall clock may differ by a set clock.
_CLOCK_SLACK_S: Final = 5.0
_PROGRAM_SHOWN: Final = 200
_SILENT_SHOWN: Final = 3  # launches
_SHADOWED: Final = (
    "or another sitecustomize stands before autoperf's; then put it into that interpreter: autoperf install"
)
_OF_ONE: Final = "SELECT record FROM processes WHERE pid = ? AND started >= ? ORDER BY started"
_LOOKED_AT: Final = 50
_LOOKED_AT_FOR_ONE: Final = 1000


def newest(directory: Path, limit: int = 50) -> list[dict[str, Any]]:
    """At most ``limit`` snapshots from the store in ``directory``; reading creates nothing."""
    from autoperf.telemetry.store.store import Store

    if not Store.exists(directory):
        return []
    store = Store.open(directory)
    try:
        return ended_by_exec(store.processes(limit))
    finally:
        store.close()


def ended_by_exec(snapshots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """End what a later program has replaced in the same process, by ``os.execv``, at its last sign of life.

    The system tells the two apart by nothing: the process is as old as its first program.
    """
    latest: dict[Any, float] = {}
    for row in snapshots:
        latest[row.get("pid")] = max(latest.get(row.get("pid"), 0.0), row.get("started") or 0.0)
    for row in snapshots:
        last = latest[row.get("pid")]
        if row.get("ended") is None and (row.get("started") or 0.0) < last:
            updated = row.get("updated")
            row["ended"], row["replaced"] = last if updated is None else updated, True
    return snapshots


def runs(snapshot: dict[str, Any]) -> bool:
    """Whether the process has not ended, stopped or not: see `life`."""
    return life(snapshot) != GONE


def life(snapshot: dict[str, Any]) -> str:
    """`ALIVE` or `STOPPED` where it recorded no end and its pid is taken by a process as old; else `GONE`.

    A killed process records no end, and in a container the next one soon has its pid.
    """
    pid = snapshot.get("pid")
    if snapshot.get("ended") is not None or not isinstance(pid, int) or pid <= 0:
        return GONE
    import psutil

    try:
        process = psutil.Process(pid)
        born, status = process.create_time(), process.status()
    except psutil.NoSuchProcess:
        return GONE
    except (psutil.Error, OSError, ValueError):
        return ALIVE
    started = snapshot.get("started")
    other = isinstance(started, (int, float)) and born > started + _CLOCK_SLACK_S
    if other or status == psutil.STATUS_ZOMBIE:
        return GONE
    return STOPPED if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP) else ALIVE


def seen(directory: Path, pid: int | None = None, clock: Callable[[], float] = time.time) -> Process | None:
    """The process that a verb is about: that with ``pid``, else the newest that runs, else the newest."""
    found = chosen(newest(directory, _LOOKED_AT_FOR_ONE if pid else _LOOKED_AT), pid)
    return None if found is None else as_seen(directory, found, clock)


def as_seen(directory: Path, record: dict[str, Any], clock: Callable[[], float] = time.time) -> Process:
    """The process of ``record`` as it is now, with its stalls."""
    from autoperf.monitor.samples import stalls_of
    from autoperf.telemetry.store.store import Store

    begun, pid = float(record.get("started") or 0.0), record.get("pid")
    # A pid is given out again: what is older than the process, or younger than its end, is another's.
    ended = record.get("ended")
    until = None if ended is None else math.nextafter(ended, math.inf)  # it may have ended by that stall
    stored = stalls_of(Store.open(directory), pid, begun, until) if isinstance(pid, int) else []
    return Process(record, life(record), clock(), tuple(stored))


def chosen(snapshots: list[dict[str, Any]], pid: int | None = None) -> dict[str, Any] | None:
    """The one with ``pid``; without one the newest that runs, else the newest; None when there is none."""
    if pid is not None:
        return next((row for row in snapshots if row.get("pid") == pid), None)
    return next((row for row in snapshots if runs(row)), snapshots[0] if snapshots else None)


def again(directory: Path, snapshot: dict[str, Any]) -> dict[str, Any] | None:
    """The latest snapshot of the same process, read without those of all others; None when it is gone."""
    from autoperf.telemetry.store.store import FILE_NAME, open_reading

    path = directory / FILE_NAME
    if not path.is_file():
        return None
    key = (snapshot.get("pid"), snapshot.get("started"))
    try:
        with contextlib.closing(open_reading(path)) as connection:
            found = [records.decoded(text) for (text,) in connection.execute(_OF_ONE, key)]
    except sqlite3.Error as error:
        raise AutoperfError(f"{path} cannot be read: {error}") from error
    latest = ended_by_exec([row for row in found if row is not None])
    return next((row for row in latest if (row.get("pid"), row.get("started")) == key), None)


def unreported(directory: Path, heard: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The launches that no host has answered, newest first: pid, started (Unix seconds), program, running.

    Those that have ended are left out when they began before the process ``heard`` of.
    """
    since = (heard or {}).get("started")
    since = since if isinstance(since, (int, float)) else 0.0
    found = [row for row in _marks(directory) if row["running"] or row["started"] > since]
    # A host removes its mark about a second after its first record.
    recorded = newest(directory, _LOOKED_AT) if found else []
    silent = [row for row in found if not any(_answers(record, row) for record in recorded)]
    return sorted(silent, key=lambda row: row["started"], reverse=True)


def _marks(directory: Path) -> Iterator[dict[str, Any]]:
    folder = directory / launches.FOLDER
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                status = os.lstat(folder / name)
                if name.isdecimal() and stat.S_ISREG(status.st_mode):
                    with open(folder / name, "rb") as stream:
                        program = os.fsdecode(stream.read(_PROGRAM_SHOWN))
                    row = {"pid": int(name), "started": status.st_mtime, "program": program}
                    yield {**row, "running": runs(row)}


def _answers(record: Mapping[str, Any], launch: Mapping[str, Any]) -> bool:
    started = record.get("started")
    same = record.get("pid") == launch["pid"]
    return same and isinstance(started, (int, float)) and started >= launch["started"] - _CLOCK_SLACK_S


def unheard(directory: Path, pid: int | None = None) -> list[str]:
    """What to say where no process, or none with ``pid``, is recorded: the launches that never reported."""
    silent = [row for row in unreported(directory) if pid in (None, row["pid"])][:_SILENT_SHOWN]
    which = f"process {pid}" if pid else "process"
    nothing = f"no {which} recorded in {directory}; start one: autoperf run python run_ui.py"
    now = time.time()
    return [told(row, now) for row in silent] or [nothing]


def told(launch: dict[str, Any], now: float) -> str:
    """One line on a launch of `unreported`: what it was, and why it may never have been heard of."""
    program = f"{printable(launch['program'])}, launched {duration(now - launch['started'])} ago"
    if launch["running"]:
        return (
            f"{program} as process {launch['pid']}, has not reported: it has imported no Agent Zero so far,"
            f" {_SHADOWED}"
        )
    ended = "it ended before its first report, imported no Agent Zero"
    return f"{program} as process {launch['pid']}, never reported: {ended}, {_SHADOWED}"
