"""Samples and stalls in the local store: as they were taken for a day, a minute's means for a month."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.monitor.stalls import Stall
from autoperf.telemetry.store import records, tables
from autoperf.telemetry.store.sqlite import sqlite3
from autoperf.telemetry.store.store import Store, open_reading

DAY_S: Final = 86_400.0
MONTH_S: Final = 31 * DAY_S
MINUTE_S: Final = 60.0
ROWS_KEPT: Final = 60_000
_STALLS_KEPT: Final = 10_000
_THIN_EVERY_S: Final = 600.0
# What one row says of a time is the worst of it, not the mean.
_WORST: Final = frozenset({"lag", "children"})
# Counted since the sample before: a minute has as many as its samples together.
_COUNTED: Final = frozenset({"hits", "lookups"})
_SAMPLES: Final = "SELECT pid, span, sample FROM samples WHERE at >= ? AND at < ? ORDER BY at"
_STALLS: Final = "SELECT pid, stall FROM stalls WHERE at >= ? AND at < ? ORDER BY at"
_OF_A_PROCESS: Final = (
    "SELECT pid, stall FROM stalls WHERE at >= ? AND at < ? AND pid = ? ORDER BY at DESC LIMIT 1000"
)
_KEEP_LATEST: Final = (
    "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY at DESC LIMIT -1 OFFSET ?)"
)


class Archive:
    """Writes what the monitor took; thins it with age, about every ten minutes, and bounds it."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._clock = clock
        self._thin_at = 0.0

    def keep(self, samples: Iterable[Mapping[str, Any]], stalls: Iterable[Stall]) -> bool:
        """Store them for this process; False when that was not possible."""
        now, pid = self._clock(), os.getpid()
        rows = [(row["at"], pid, 0.0, tables.to_json(dict(row))) for row in samples]
        stalled = [(stall.at, pid, stall.seconds, tables.to_json(stall._asdict())) for stall in stalls]
        due = now >= self._thin_at
        if not rows and not stalled and not due:
            return True

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT INTO samples VALUES(?, ?, ?, ?)", rows)
            connection.executemany("INSERT INTO stalls VALUES(?, ?, ?, ?)", stalled)
            if due:
                thin(connection, now)

        if not self.store.write(write):
            return False
        if due:
            self._thin_at = now + _THIN_EVERY_S
        return True


def thin(connection: sqlite3.Connection, now: float) -> None:
    """Means by process and minute in place of what is older than a day; nothing older than a month."""
    for table, kept in (("samples", ROWS_KEPT), ("stalls", _STALLS_KEPT)):
        connection.execute(f"DELETE FROM {table} WHERE at < ?", (now - MONTH_S,))
        connection.execute(_KEEP_LATEST.format(table=table), (kept,))
    # Whole minutes only, or the rest of one would become a row of its own next time.
    until = (now - DAY_S) // MINUTE_S * MINUTE_S
    minutes: dict[tuple[int, float], list[dict[str, Any]]] = {}
    for at, pid, text in connection.execute(
        "SELECT at, pid, sample FROM samples WHERE span = 0 AND at < ? ORDER BY at", (until,)
    ):
        sample = records.decoded(text, records.SAMPLE)
        minutes.setdefault((pid, at // MINUTE_S * MINUTE_S), []).extend([sample] if sample else [])
    connection.execute("DELETE FROM samples WHERE span = 0 AND at < ?", (until,))
    connection.executemany(
        "INSERT INTO samples VALUES(?, ?, ?, ?)",
        [
            (at, pid, MINUTE_S, tables.to_json({**merged(rows), "at": at}))
            for (pid, at), rows in minutes.items()
            if rows
        ],
    )


def merged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One sample in place of several: means of numbers, sums of counts, the worst lag, the most children."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return {name: _together(name, found) for name, found in values.items()}


def _together(name: str, values: Sequence[Any]) -> Any:
    if name in _WORST:
        return _worst(values)
    return sum(values) if name in _COUNTED else _mean(values)


def _mean(values: Sequence[Any]) -> Any:
    numbers = [value for value in values if isinstance(value, (int, float))]
    return round(sum(numbers) / len(numbers), 4) if numbers else values[-1]


def _worst(values: Sequence[Any]) -> dict[str, Any]:
    worst: dict[str, Any] = {}
    for value in values:
        for name, one in value.items():
            worst[name] = max(worst.get(name, one), one)
    return worst


def samples(store: Store, since: float, until: float | None = None) -> list[dict[str, Any]]:
    """What was sampled from ``since`` to ``until`` (s since the epoch), oldest first.

    Beside the sample a row has ``pid`` and ``span``: 0 for a sample as it was taken, else the seconds that
    it is the mean of.
    """
    rows = _read(store, _SAMPLES, since, until)
    read = ((records.decoded(text, records.SAMPLE), pid, span) for pid, span, text in rows)
    return [{**sample, "pid": pid, "span": span} for sample, pid, span in read if sample is not None]


def stalls(store: Store, since: float, until: float | None = None) -> list[dict[str, Any]]:
    """The stalls that began in that time, oldest first: the fields of `Stall`, and ``pid``."""
    return _stalls(_read(store, _STALLS, since, until))


def stalls_of(store: Store, pid: int, since: float, until: float | None = None) -> list[dict[str, Any]]:
    """The same of one process, its last thousand."""
    return _stalls(_read(store, _OF_A_PROCESS, since, until, pid))[::-1]


def _stalls(rows: Iterable[Any]) -> list[dict[str, Any]]:
    read = ((records.decoded(text, records.STALL), pid) for pid, text in rows)
    return [{**stall, "pid": pid} for stall, pid in read if stall is not None]


def _read(store: Store, query: str, since: float, until: float | None, *more: int) -> list[Any]:
    if not store.path.is_file():
        return []
    try:
        with contextlib.closing(open_reading(store.path)) as connection:
            # A file of before there was a monitor has no such table.
            if tables.schema_of(connection) < tables.SCHEMA_VERSION:
                return []
            values = (since, float("inf") if until is None else until, *more)
            return connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise AutoperfError(f"{store.path} cannot be read: {error}") from error
