"""The local store: spans and process records in one SQLite file that processes share, bounded in size."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from autoperf.errors import AutoperfError, say
from autoperf.memo.filesystems import file_system, is_remote
from autoperf.telemetry.store import databases, records, tables
from autoperf.telemetry.store.databases import open_reading as open_reading
from autoperf.telemetry.store.sqlite import sqlite3
from autoperf.telemetry.store.tables import SpanRow as SpanRow
from autoperf.telemetry.store.use_lock import UseLock, in_turn

FILE_NAME: Final = "autoperf.db"
_RETRY_SECONDS: Final = 5.0


class Store:
    """Spans and process records of every instrumented process of one user.

    Writing never raises: what cannot be stored is counted in ``dropped`` and said in one line. Nothing on
    disk is touched before the first write, and reading alone never changes anything. Thread-safe; after a
    fork the child opens a connection of its own.
    """

    def __init__(self, directory: Path, max_bytes: int, report: Callable[[str], None]) -> None:
        self.path = directory / FILE_NAME
        self.dropped = 0
        self.problem: str | None = None
        self._report = report
        self._bounds = databases.Bounds(max_bytes)
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._journal = ""
        self._use = UseLock(directory)
        self._stored = self._lost_unless_there = 0  # spans of this process in the file, in one that is gone
        self._retry_at = 0.0
        self._unusable = False
        self._said = False
        # One connection for all threads, so one lock; reentrant for a signal handler in the same thread.
        self.lock = threading.RLock()
        databases.survive_forks(self)

    @classmethod
    def open(
        cls, directory: Path, *, max_bytes: int = 64 << 20, report: Callable[[str], None] = say
    ) -> Store:
        """The store in ``directory``, ``max_bytes`` on disk at most; ``report`` gets lines for a person."""
        return cls(directory, max_bytes, report)

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether ``directory`` holds a store."""
        return (directory / FILE_NAME).is_file()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this process's connection; the next write opens one again."""
        with self.lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            self._use.release()

    def leave(self) -> None:
        """Close it before a fork, which the host waits for: with as little waiting for the disk as can be."""
        if self._connection is not None:
            databases.keep_log(self._connection)
        self.close()

    def forked(self, *, closed: bool) -> None:
        """In a child made by fork: a connection and a lock of its own, or none where ours was in use."""
        self.lock = threading.RLock()
        if not closed and self._connection is not None:
            databases.abandon(self._connection)
            self._unusable, self.problem = True, "the process was forked while the store was written to"
        self._use.forked()
        self._connection, self.dropped, self._retry_at = None, 0, 0.0
        self._stored = self._lost_unless_there = 0

    # -- writing

    def add_spans(self, rows: Iterable[SpanRow]) -> int:
        """Store finished spans and return how many were stored; the others are counted in ``dropped``."""
        stored = 0
        for chunk in tables.chunks(rows, self._bounds.reserve // 4):
            if self.write(partial(tables.insert_spans, chunk=chunk)):
                stored += len(chunk)
                self._stored += len(chunk)
            else:
                self.dropped += len(chunk)
        return stored

    def save_process(self, snapshot: Mapping[str, Any]) -> bool:
        """Keep the latest record of one process, keyed by ``pid`` and ``started`` (s since the epoch)."""
        text = tables.to_json(dict(snapshot))
        row = (snapshot["pid"], snapshot["started"], snapshot.get("updated") or time.time(), text)
        return self.write(partial(tables.insert_process, row=row))

    def write(self, action: Callable[[sqlite3.Connection], None]) -> bool:
        """Run ``action`` in a transaction of its own; False when that could not be done."""
        with self.lock:
            for last_try in (False, True):
                try:
                    connection = self._connected()
                    if connection is None:
                        return False
                    with in_turn(self.path.parent):
                        self._bounds.make_room(connection, self.path)
                        tables.in_transaction(connection, action)
                    self.problem = None
                    return True
                except (sqlite3.Error, OSError) as error:
                    if not last_try and self._mended(error):
                        continue
                    self._give_up(str(error))
                    return False
        return False

    def note_open(self, rows: Iterable[SpanRow]) -> bool:
        """Store spans that have begun: what ends them takes their place, and a killed process leaves them."""
        return self.write(partial(tables.insert_spans, chunk=list(map(tables.encoded, rows))))

    @property
    def identity(self) -> int:
        """Which file it is that was written to last; 0 before that."""
        return self._inode

    def rest(self) -> None:
        """Let go of the file where another process waits to set it aside."""
        if self._connection is not None and self._use.wanted():
            self.close()

    def _mended(self, error: Exception) -> bool:
        """Whether what stood in the way is gone, so that another try is worth it."""
        text = str(error)
        try:
            if self._connection is not None and "full" in text:
                return self._bounds.evict(self._connection)  # others have written since room was made
            if self._connection is not None and "no such table" in text:
                tables.in_transaction(self._connection, tables.create)
                return True
            if "locked" in text or "busy" in text:
                return True  # after the whole wait of a statement
            return type(error) is sqlite3.DatabaseError and self._set_aside(error)
        except (sqlite3.Error, OSError):
            return False  # it is said what the first error was

    def _connected(self) -> sqlite3.Connection | None:
        if self._connection is not None and databases.inode(self.path) != self._inode:
            self._abandon()  # The file was deleted or moved away under us: start a new one.
        if self._connection is None:
            if self._unusable or time.monotonic() < self._retry_at:
                return None
            databases.make(self.path, self._prepare_new)
            self._use.share()
            self._connection = connection = databases.open_writing(self.path)
            self._inode = databases.inode(self.path)
            try:
                self._prepare(connection)
                if self._lost_unless_there:
                    self._count_lost(connection)
            except BaseException:
                self.close()  # half set up it would serve the next write
                raise
        return None if self._unusable else self._connection

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            databases.leave_deleted(connection)
        self._lost_unless_there, self._stored = self._lost_unless_there + self._stored, 0

    def _count_lost(self, connection: sqlite3.Connection) -> None:
        """Of what was stored in a file that is gone, count what was not taken over into this one."""
        there = connection.execute("SELECT count(*) FROM spans WHERE pid = ?", (os.getpid(),)).fetchone()[0]
        lost, self._lost_unless_there = max(0, self._lost_unless_there - there), 0
        self._stored = there
        if lost:
            self.dropped += lost
            self._report(f"the store {self.path} is another file now: {lost} spans of the former are lost")

    def _prepare_new(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA journal_mode = {self._journal_mode()}")
        tables.in_transaction(connection, tables.create)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = tables.schema_of(connection)
        if found > tables.SCHEMA_VERSION:
            self.close()
            self._unusable = True
            self._complain(f"it was written by a newer autoperf (schema {found}); it is left as it is")
            return
        journal = self._journal_mode()
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # To change it takes the file alone: asked for only where it is another.
        if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != journal:
            connection.execute(f"PRAGMA journal_mode = {journal}")
        self._bounds.set(connection)
        if found < tables.SCHEMA_VERSION:
            tables.in_transaction(connection, tables.create)

    def _journal_mode(self) -> str:
        if not self._journal:
            kind = file_system(self.path)
            if is_remote(kind):  # said once, not at each connection
                self._report(
                    f"the store {self.path} is on {kind}: slower journal, because WAL is not safe there"
                )
            self._journal = "DELETE" if is_remote(kind) else "WAL"
        return self._journal

    def _set_aside(self, error: Exception) -> bool:
        """Set a damaged file aside whole and take over what can be read of it; True when one can go on."""
        mine = self._inode
        self.close()
        if not self._use.take_alone():
            self._use.ask_for()
            return False  # the others let go of it within seconds
        try:
            if mine and databases.inode(self.path) != mine:
                return True  # another process has done it already
            kept = 0

            def take_over(connection: sqlite3.Connection) -> None:
                nonlocal kept
                self._prepare_new(connection)
                kept = tables.take_over(connection, partial(databases.readable_rows, self.path))

            aside = databases.replace(self.path, take_over)
            self._report(
                f"the store was damaged ({error}); it is kept as {aside}; {kept} rows go on in a new one"
            )
            self._lost_unless_there += self._stored
            self._stored = 0
            return True
        finally:
            self._use.release()
            self._use.ask_no_more()

    def _give_up(self, reason: str) -> None:
        if "locked" not in reason:
            self.close()
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        self._complain(reason)

    def _complain(self, reason: str) -> None:
        if not self._said:
            self._said = True
            self._report(f"traces are not kept: {self.path}: {reason}")
        self.problem = reason

    # -- reading

    def processes(self, limit: int = 20) -> list[dict[str, Any]]:
        """The records of the last ``limit`` processes, the most recently updated first."""
        rows = self._read("SELECT record FROM processes ORDER BY updated DESC LIMIT ?", limit)
        return [record for row in rows if (record := records.decoded(row["record"])) is not None]

    def traces(self, limit: int = 20) -> list[dict[str, Any]]:
        """The last ``limit`` traces, newest first: trace_id, name, start_ns, end_ns, spans, errors.

        ``name`` is None where the root was not stored.
        """
        return [dict(row) for row in self._read("SELECT * FROM traces ORDER BY start_ns DESC LIMIT ?", limit)]

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of one trace by start time: the fields of `SpanRow`."""
        rows = self._read("SELECT * FROM spans WHERE trace_id = ? ORDER BY start_ns, end_ns DESC", trace_id)
        decoded = ("attributes", "links")
        return [dict(row) | {key: json.loads(row[key]) for key in decoded} for row in rows]

    def _read(self, query: str, argument: int | str) -> list[sqlite3.Row]:
        """Rows of ``query``; an `AutoperfError` when the file cannot be read, none without a file."""
        if not self.path.is_file():
            return []
        try:
            with contextlib.closing(open_reading(self.path)) as connection:
                found = tables.schema_of(connection)
                if found > tables.SCHEMA_VERSION:
                    raise AutoperfError(f"{self.path} was written by a newer autoperf: update this one")
                return connection.execute(query, (argument,)).fetchall() if found else []
        except sqlite3.Error as error:
            raise AutoperfError(f"{self.path} cannot be read: {error}") from error
