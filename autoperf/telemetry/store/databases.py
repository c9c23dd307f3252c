"""SQLite files that processes share: made whole, opened for one process, set aside when damaged.

The rules of https://www.sqlite.org/howtocorrupt.html, and what is done for each:
file locks (2.2, 2.3): no descriptor of the database is opened beside SQLite's own, and all connections of a
process are made by one library;
forks (2.6): nothing is open while a process forks (`survive_forks`);
two names, renaming, deleting in use (2.4, 2.5): a file is made under a name of its own and linked into
place once it is complete; it is renamed only under a lock that shuts out whoever has it open, and a
connection whose file is gone is not closed if that would delete the log of its successor by name;
logs (1.3): database and logs are renamed together; remote file systems (2.1): no write-ahead log there.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from autoperf.errors import guarded
from autoperf.errors.standins import nothing, standing_in
from autoperf.telemetry.store import state_directory, tables
from autoperf.telemetry.store.sqlite import connect, sqlite3
from autoperf.telemetry.store.use_lock import alone_making

BUSY_MS: Final = 5000
_FORK_WAIT_SECONDS: Final = 0.5
_SEAM: Final = "telemetry:fork"
LOGS: Final = ("-wal", "-shm", "-journal")
_PAGE_BYTES: Final = 4096
_CHECKPOINT_MS: Final = 50
_LOG_OF_A_READER: Final = 32 << 20  # beyond the limit of the store, for as long as somebody reads


class Bounds:
    """What one database may take on disk: ``max_bytes``, of them the ``reserve`` for its write-ahead log."""

    def __init__(self, max_bytes: int) -> None:
        self.reserve = min(max_bytes // 8, 2 << 20)
        # As a rule the log grows to twice the reserve; it is longer while somebody reads.
        self._pages = max(16, (max_bytes - 2 * self.reserve) // _PAGE_BYTES)
        self._longest_log = max_bytes + _LOG_OF_A_READER

    def set(self, connection: sqlite3.Connection) -> None:
        """Tell SQLite; of this connection alone, so at each."""
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {self.reserve}")
        pages = max(8, self.reserve // _PAGE_BYTES // 2)
        connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        connection.execute(f"PRAGMA max_page_count = {self._pages}")

    def make_room(self, connection: sqlite3.Connection, path: Path) -> None:
        """Before a write: keep the log small, and let the oldest go where little is left."""
        log = f"{path}-wal"
        if size(log) > self.reserve:
            # Nobody else writes (`in_turn`), but somebody may read: that is not waited for long.
            connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MS}")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        if size(log) > self._longest_log:
            raise sqlite3.OperationalError("a reader keeps the write-ahead log from being emptied")
        # Low water well below high water, or every single write would evict.
        if tables.pages_used(connection) > self._pages * 9 // 10:
            self.evict(connection)

    def evict(self, connection: sqlite3.Connection) -> bool:
        """Let the oldest go until a quarter is free; whether anything went."""
        evicted = False
        while tables.pages_used(connection) > self._pages * 3 // 4:
            before = connection.total_changes
            tables.in_transaction(connection, tables.evict)
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            if connection.total_changes == before:
                break
            evicted = True
        return evicted


def make(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> None:
    """Make the database with what ``prepare`` puts into it, unless there is one; 0600 whatever the umask is.

    Processes that start at once each make one under a name of their own, and the first linked into place
    wins: nobody waits for a lock, and nobody sees a database without its tables.
    """
    state_directory.make(path.parent, path.name)
    if path.exists():
        return
    if any(os.path.lexists(f"{path}{suffix}") for suffix in LOGS):
        _forget_logs(path)
    with _scratch(path, prepare) as scratch:
        try:
            os.link(scratch, path)
        except FileExistsError:
            return
        except (OSError, NotImplementedError, AttributeError):
            # No hard links here: an empty file, which whoever opens it first prepares.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


@contextlib.contextmanager
def _scratch(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> Iterator[str]:
    """A database under a name of its own, complete; what is left of it goes."""
    scratch = f"{path}.{os.getpid()}-{threading.get_ident()}.new"
    os.close(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
    try:
        with contextlib.closing(connect(scratch, isolation_level=None)) as connection:
            prepare(connection)
            # Closing would do this too, and pass over a disk that is full: half a database would be left.
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise sqlite3.OperationalError("a new database cannot be completed")
        yield scratch
    finally:
        for suffix in ("", *LOGS):
            with contextlib.suppress(OSError):
                os.unlink(f"{scratch}{suffix}")


def replace(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> Path:
    """Set a damaged database aside and put what ``prepare`` makes of it in its place; its new name.

    Under `UseLock.take_alone`. Whatever fails before the new one is complete leaves the damaged one there.
    """
    with _scratch(path, prepare) as scratch:
        aside = Path(f"{path}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        os.rename(path, aside)
        for suffix in LOGS:
            with contextlib.suppress(OSError):
                os.rename(f"{path}{suffix}", f"{aside}{suffix}")
        os.rename(scratch, path)
    return aside


def _forget_logs(path: Path) -> None:
    """Delete logs whose database somebody has deleted: a new one of that name would be paired with them."""
    with alone_making(path.parent):
        if not path.exists():
            for suffix in LOGS:
                with contextlib.suppress(OSError):
                    os.unlink(f"{path}{suffix}")


def open_writing(path: Path) -> sqlite3.Connection:
    """A connection for all threads of this process, in which every transaction is said."""
    seconds = BUSY_MS / 1000
    connection = connect(path, timeout=seconds, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return connection


def _text(cell: bytes) -> str:
    return str(cell, "utf-8", "replace")  # one that is no text costs no other


def open_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; from a folder we may not write to, the file as it lies there."""
    state_directory.expect_safe(path.parent, path.name)
    uri = "file:" + urllib.parse.quote(str(path))
    for mode in ("mode=ro", "immutable=1"):
        connection = connect(f"{uri}?{mode}", timeout=BUSY_MS / 1000, uri=True)
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            # Solves only a -shm that is missing and may not be made.
            if mode == "immutable=1" or "locked" in str(error):
                raise
    raise AssertionError("unreachable")


def readable_rows(path: Path, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows of ``table`` in a damaged database: from its beginning to the damage, then from its end."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        try:
            with contextlib.closing(connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True)) as c:
                c.execute("PRAGMA writable_schema = ON")  # a table that is malformed hides no other
                for rowid, *values in c.execute(
                    f"SELECT rowid, {columns} FROM {table} ORDER BY rowid {order}"
                ):
                    if rowid in seen:
                        break
                    seen.add(rowid)
                    yield tuple(values)
        except (sqlite3.Error, UnicodeDecodeError):
            continue


def keep_log(connection: sqlite3.Connection) -> bool:
    """Have ``connection`` leave the log as it is when closed; False where it cannot, before Python 3.12.

    Closing would copy the log into the database and wait for the disk, then delete the log by its name.
    """
    option = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)
    if option is not None:
        getattr(connection, "setconfig")(option, True)  # noqa: B009 - mypy knows Python 3.10
    return option is not None


def size(path: Path | str) -> int:
    """Bytes of the file; 0 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def inode(path: Path) -> int:
    """Which file the name stands for now; 0 for none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


class Forkable(Protocol):
    """What has a connection.

    A child inherits what SQLite knows of the locks of its process, and not the locks: it would take none.
    So nothing is open when a process forks.
    """

    lock: Any  # a reentrant lock of threads

    def leave(self) -> None:
        """Before the fork, with the lock: both open anew when they write again."""

    def forked(self, *, closed: bool) -> None:
        """In the child: begin anew, or where it could not be ``closed`` leave that file alone for good."""


_forkable: weakref.WeakSet[Forkable] = weakref.WeakSet()
# By forking thread, two of which may fork at once: whose locks are held, and which of those are closed.
_held: dict[int, list[Forkable]] = {}
_closed: dict[int, list[Forkable]] = {}
_abandoned: list[sqlite3.Connection] = []


def survive_forks(user: Forkable) -> None:
    """Have ``user`` close what it has open before each fork; it is waited for half a second."""
    _forkable.add(user)


def abandon(connection: sqlite3.Connection) -> None:
    """Keep a connection that must be neither used nor closed, by this process or at this time."""
    _abandoned.append(connection)


def leave_deleted(connection: sqlite3.Connection) -> None:
    """Close a connection whose file is gone, unless that would delete the log of its successor."""
    if keep_log(connection):
        connection.close()
    else:
        abandon(connection)


def _before_fork() -> None:
    # A fork in the middle of a write would copy SQLite's own mutexes locked, for ever.
    thread = threading.get_ident()
    held, closed = _held.setdefault(thread, []), _closed.setdefault(thread, [])
    for each in list(_forkable):
        with guarded(_SEAM):
            if each.lock.acquire(timeout=_FORK_WAIT_SECONDS):
                held.append(each)
                each.leave()
                closed.append(each)


def _after_fork_in_parent() -> None:
    _closed.pop(threading.get_ident(), None)
    for each in _held.pop(threading.get_ident(), ()):
        each.lock.release()


def _after_fork_in_child() -> None:
    closed = _closed.pop(threading.get_ident(), [])
    _held.clear()
    _closed.clear()
    for each in list(_forkable):
        with guarded(_SEAM):
            each.forked(closed=any(each is one for one in closed))


if hasattr(os, "register_at_fork"):
    # Once more where it fails: a lock that is left held would stop the store for good.
    _release = standing_in(_SEAM, _after_fork_in_parent, standing_in(_SEAM, _after_fork_in_parent, nothing))
    _begin = standing_in(_SEAM, _after_fork_in_child, standing_in(_SEAM, _after_fork_in_child, nothing))
    os.register_at_fork(
        before=standing_in(_SEAM, _before_fork, nothing), after_in_parent=_release, after_in_child=_begin
    )
