"""The tables of the local store and what is done to them, as plain functions over one connection."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from autoperf.telemetry.store.sqlite import sqlite3

SCHEMA_VERSION: Final = 2
_PROCESSES_KEPT: Final = 50
_SPANS_EVICTED_AT_ONCE: Final = 64
_SAMPLES_EVICTED_AT_ONCE: Final = 64
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS spans("
    "trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT, name TEXT NOT NULL, kind TEXT NOT NULL, "
    "start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, status TEXT NOT NULL, pid INTEGER NOT NULL, "
    "attributes TEXT NOT NULL, links TEXT NOT NULL, UNIQUE(trace_id, span_id))",
    "CREATE TABLE IF NOT EXISTS traces("
    "trace_id TEXT PRIMARY KEY, name TEXT, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, "
    "spans INTEGER NOT NULL, errors INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS traces_by_end ON traces(end_ns)",
    "CREATE TABLE IF NOT EXISTS processes("
    "pid INTEGER NOT NULL, started REAL NOT NULL, updated REAL NOT NULL, record TEXT NOT NULL, "
    "UNIQUE(pid, started))",
    # ``span`` is the time in s that a row stands for: 0 as it was taken, 60 a minute's means.
    "CREATE TABLE IF NOT EXISTS samples("
    "at REAL NOT NULL, pid INTEGER NOT NULL, span REAL NOT NULL, sample TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS samples_by_time ON samples(at)",
    "CREATE TABLE IF NOT EXISTS stalls("
    "at REAL NOT NULL, pid INTEGER NOT NULL, seconds REAL NOT NULL, stall TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS stalls_by_time ON stalls(at)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
# Of a span that has begun and not ended: ``end_ns`` is then the process's last sign of life.
OPEN: Final = "open"
_ADD_SPAN: Final = """
INSERT INTO spans VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(trace_id, span_id) DO NOTHING
"""
_END_SPAN: Final = f"""
UPDATE spans SET parent_id = ?, name = ?, kind = ?, start_ns = ?, end_ns = ?, status = ?, pid = ?,
    attributes = ?, links = ?
WHERE trace_id = ? AND span_id = ? AND status = '{OPEN}'
"""
_UNFIT: Final = (
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError, TypeError,
)  # fmt: skip
_TAKEN_OVER: Final = (
    ("processes", "pid, started, updated, record"),
    ("samples", "at, pid, span, sample"),
    ("stalls", "at, pid, seconds, stall"),
)
_OF_A_SPAN: Final = (
    "trace_id, span_id, parent_id, name, kind, start_ns, end_ns, status, pid, attributes, links"
)
# The root names the trace, from when it begins; without it the name is NULL.
_ADD_TO_TRACE: Final = """
INSERT INTO traces(trace_id, name, start_ns, end_ns, spans, errors) VALUES(?, ?, ?, ?, ?, ?)
ON CONFLICT(trace_id) DO UPDATE SET
    name = coalesce(excluded.name, name), start_ns = min(start_ns, excluded.start_ns),
    end_ns = max(end_ns, excluded.end_ns), spans = spans + excluded.spans, errors = errors + excluded.errors
"""
_ADD_PROCESS: Final = "INSERT OR REPLACE INTO processes VALUES(?, ?, ?, ?)"
_TRIM_PROCESSES: Final = """
DELETE FROM processes WHERE (pid, started) NOT IN
    (SELECT pid, started FROM processes ORDER BY updated DESC LIMIT ?)
"""
_OLDEST: Final = """
SELECT trace_id, spans FROM traces
WHERE trace_id != (SELECT trace_id FROM traces ORDER BY end_ns DESC LIMIT 1)
ORDER BY end_ns LIMIT ?
"""
# Made once: json.dumps(default=...) makes an encoder at every call.
to_json: Final = json.JSONEncoder(default=str).encode


class SpanRow(NamedTuple):
    """One finished span: ids in lower-case hex, times in ns since the epoch.

    ``status`` is ``unset``, ``ok`` or ``error``, in the table also `OPEN`; ``links`` holds
    ``[trace_id, span_id]`` pairs; ``parent_id`` is None for the root of a trace.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    pid: int
    attributes: Mapping[str, Any]
    links: Sequence[Sequence[str]] = ()


def in_transaction(connection: sqlite3.Connection, action: Callable[[sqlite3.Connection], None]) -> None:
    """Run ``action`` whole or not at all; with the write lock first, or two readers could deadlock."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        action(connection)
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has already rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def schema_of(connection: sqlite3.Connection) -> int:
    """The schema version in the file; 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def create(connection: sqlite3.Connection) -> None:
    """Make the tables that are not there yet."""
    for statement in _SCHEMA:
        connection.execute(statement)


def encoded(row: SpanRow) -> tuple[Any, ...]:
    """``row`` as SQLite takes it: attributes and links as JSON."""
    return (*row[:9], to_json(dict(row.attributes)), to_json(list(row.links)) if row.links else "[]")


def chunks(rows: Iterable[SpanRow], budget: int) -> Iterator[list[tuple[Any, ...]]]:
    """Encoded rows in lists of about ``budget`` bytes, so that no transaction outgrows the log."""
    chunk: list[tuple[Any, ...]] = []
    size = 0
    for row in map(encoded, rows):
        chunk.append(row)
        size += len(row[9]) + len(row[10]) + len(row[3]) + 200
        if size >= budget:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def insert_spans(connection: sqlite3.Connection, chunk: Sequence[tuple[Any, ...]]) -> None:
    """Add encoded spans and count them into their traces.

    One that has ended takes the place of itself while it was open; a span stored before is passed over.
    """
    per_trace: dict[str, list[Any]] = {}
    for row in chunk:
        new = connection.execute(_ADD_SPAN, row).rowcount
        if not new and not connection.execute(_END_SPAN, (*row[2:], *row[:2])).rowcount:
            continue
        trace_id, _, parent_id, name, _, start_ns, end_ns, status = row[:8]
        sums = per_trace.setdefault(trace_id, [trace_id, None, start_ns, end_ns, 0, 0])
        sums[1] = name if parent_id is None else sums[1]
        sums[2], sums[3] = min(sums[2], start_ns), max(sums[3], end_ns)
        sums[4] += new
        sums[5] += status == "error"
    connection.executemany(_ADD_TO_TRACE, per_trace.values())


def insert_process(connection: sqlite3.Connection, row: tuple[int, float, float, str]) -> None:
    """Put one process record in place of its earlier version and forget the oldest processes."""
    connection.execute(_ADD_PROCESS, row)
    connection.execute(_TRIM_PROCESSES, (_PROCESSES_KEPT,))


def take_over(connection: sqlite3.Connection, rows: Callable[[str, str], Iterable[tuple[Any, ...]]]) -> int:
    """Add what ``rows(table, columns)`` still gives of a damaged database; how many rows that were.

    Traces are counted anew from their spans. What does not fit the table is left.
    """
    kept = 0

    def add(connection: sqlite3.Connection) -> None:
        nonlocal kept
        for row in rows("spans", _OF_A_SPAN):
            with contextlib.suppress(*_UNFIT):
                insert_spans(connection, [row])
                kept += 1
        for table, columns in _TAKEN_OVER:
            marks = ", ".join("?" for _ in columns.split(","))
            for row in rows(table, columns):
                with contextlib.suppress(*_UNFIT):
                    connection.execute(f"INSERT OR IGNORE INTO {table} VALUES({marks})", row)
                    kept += 1

    in_transaction(connection, add)
    return kept


def evict(connection: sqlite3.Connection) -> None:
    """Delete some of the oldest traces, never the newest, and of the oldest samples.

    Once the newest trace is alone: all processes but the last.
    """
    oldest = connection.execute(_OLDEST, (_SPANS_EVICTED_AT_ONCE,)).fetchall()
    gone = 0
    for trace_id, spans in oldest:
        connection.execute("DELETE FROM spans WHERE trace_id = ?", (trace_id,))
        connection.execute("DELETE FROM traces WHERE trace_id = ?", (trace_id,))
        gone += spans
        if gone >= _SPANS_EVICTED_AT_ONCE:
            break
    for table in ("samples", "stalls"):
        connection.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY at LIMIT ?)",
            (_SAMPLES_EVICTED_AT_ONCE,),
        )
    if not oldest:
        connection.execute(_TRIM_PROCESSES, (1,))


def pages_used(connection: sqlite3.Connection) -> int:
    """Pages of the file that hold something."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    return int(pages) - int(connection.execute("PRAGMA freelist_count").fetchone()[0])
