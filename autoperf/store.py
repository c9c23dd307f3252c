"""The local store: spans and process records in one SQLite file that processes share, bounded in size."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from autoperf import records, statedir, tables
from autoperf.errors import AutoperfError, say
from autoperf.mounts import file_system, is_remote
from autoperf.tables import SpanRow as SpanRow

FILE_NAME: Final = "autoperf.db"
_PAGE_BYTES: Final = 4096
_BUSY_MS: Final = 1000
_RETRY_SECONDS: Final = 5.0
_FORK_WAIT_SECONDS: Final = 0.5


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
        # The rest is for the write-ahead log: it may grow to twice the reserve.
        self._reserve = min(max_bytes // 8, 2 << 20)
        self._max_pages = max(16, (max_bytes - 2 * self._reserve) // _PAGE_BYTES)
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._journal = ""
        self._retry_at = 0.0
        self._unusable = False
        self._said = False
        # One connection for all threads, so one lock; reentrant for a signal handler in the same thread.
        self._lock = threading.RLock()
        _stores.add(self)

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
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    # -- writing

    def add_spans(self, rows: Iterable[SpanRow]) -> int:
        """Store finished spans and return how many were stored; the others are counted in ``dropped``."""
        stored = 0
        for chunk in tables.chunks(rows, self._reserve // 4):
            if self.write(partial(tables.insert_spans, chunk=chunk)):
                stored += len(chunk)
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
        with self._lock:
            for last_try in (False, True):
                try:
                    connection = self._connected()
                    if connection is None:
                        return False
                    self._make_room(connection)
                    tables.in_transaction(connection, action)
                    self.problem = None
                    return True
                except (sqlite3.Error, OSError) as error:
                    if type(error) is sqlite3.DatabaseError and not last_try and self._move_aside(error):
                        continue
                    self._give_up(str(error))
                    return False
        return False

    def _connected(self) -> sqlite3.Connection | None:
        if self._connection is not None and _inode(self.path) != self._inode:
            self.close()  # The file was deleted or moved away under us: start a new one.
        if self._connection is None:
            if self._unusable or time.monotonic() < self._retry_at:
                return None
            # At once, so that _give_up and _move_aside find what a failing set-up has opened.
            self._connection = connection = _open_file(self.path)
            self._inode = _inode(self.path)
            self._prepare(connection)
        return None if self._unusable else self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        found = tables.schema_of(connection)
        if found > tables.SCHEMA_VERSION:
            self.close()
            self._unusable = True
            self._complain(f"it was written by a newer autoperf (schema {found}); it is left as it is")
            return
        kind = file_system(self.path)
        if is_remote(kind) and not self._journal:  # said once, not at each connection
            self._report(f"the store {self.path} is on {kind}: slower journal, because WAL is not safe there")
        self._journal = "DELETE" if is_remote(kind) else "WAL"
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA journal_mode = {self._journal}")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {self._reserve}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {max(8, self._reserve // _PAGE_BYTES // 2)}")
        connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        if found < tables.SCHEMA_VERSION:
            tables.in_transaction(connection, tables.create)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        wal = Path(f"{self.path}-wal")
        if _size(wal) > self._reserve:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if _size(wal) > 2 * self._reserve:
                raise sqlite3.OperationalError("a reader keeps the write-ahead log from being emptied")
        # Low water well below high water, or every single write would evict.
        if tables.pages_used(connection) <= self._max_pages * 9 // 10:
            return
        while tables.pages_used(connection) > self._max_pages * 3 // 4:
            before = connection.total_changes
            tables.in_transaction(connection, tables.evict)
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            if connection.total_changes == before:
                return

    def _move_aside(self, error: Exception) -> bool:
        """Rename a corrupt file; True when a fresh one can be tried."""
        self.close()
        if self._inode and _inode(self.path) != self._inode:
            return True  # Another process has already put it aside.
        aside = f"{self.path}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        try:
            os.rename(self.path, aside)
        except OSError:
            return False
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
        self._report(f"the store was damaged ({error}); it is kept as {aside}, a new one begins")
        return True

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

        ``name`` is None until the root has ended.
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


def _open_file(path: Path) -> sqlite3.Connection:
    statedir.make(path.parent, path.name)
    # Private from the first byte whatever the umask is; -wal and -shm take this mode over.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    return connection


def open_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; from a folder we may not write to, the file as it lies there."""
    statedir.expect_safe(path.parent, path.name)
    uri = "file:" + urllib.parse.quote(str(path))
    for mode in ("mode=ro", "immutable=1"):
        connection = sqlite3.connect(f"{uri}?{mode}", uri=True, timeout=_BUSY_MS / 1000)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            # Solves only a -shm that is missing and may not be made.
            if mode == "immutable=1" or "locked" in str(error):
                raise
    raise AssertionError("unreachable")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


_stores: weakref.WeakSet[Store] = weakref.WeakSet()
# By forking thread: two threads may fork at once.
_held: dict[int, list[Store]] = {}
# SQLite forbids carrying a connection over a fork; closing it there would be a use too.
_abandoned: list[sqlite3.Connection] = []


def _before_fork() -> None:
    # A fork in the middle of a write would copy SQLite's own mutexes locked, for ever.
    _held[threading.get_ident()] = [
        store for store in list(_stores) if store._lock.acquire(timeout=_FORK_WAIT_SECONDS)
    ]


def _after_fork_in_parent() -> None:
    for store in _held.pop(threading.get_ident(), ()):
        store._lock.release()


def _after_fork_in_child() -> None:
    _held.clear()
    for store in list(_stores):
        store._lock = threading.RLock()
        if store._connection is not None:
            _abandoned.append(store._connection)
        store._connection, store.dropped, store._retry_at = None, 0, 0.0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
