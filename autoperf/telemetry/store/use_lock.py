"""Who uses the store's files, told between processes by locks on files beside them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_NO_LINK: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_TURN_SECONDS: Final = 5.0
_ASKED_SECONDS: Final = 60.0
_LOCK: Final = "store.lock"

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be renamed
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone_making(folder: Path) -> Iterator[None]:
    """One process after the other; where there are no such locks, all at once."""
    descriptor = os.open(folder / f"{_LOCK}-making", os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """One writer after the other, so that none of them is in the way of another's checkpoint.

    One that has the turn for longer than five seconds, as a stopped process may, is not waited for.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder / f"{_LOCK}-turn", os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
    try:
        deadline, pause = time.monotonic() + _TURN_SECONDS, 0.001
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(pause)
                pause = min(0.02, 2 * pause)
            except OSError:
                break  # a file system without such locks
        yield
    finally:
        os.close(descriptor)


class UseLock:
    """Who has the database open holds this lock with others; who sets it aside holds it alone.

    A lock of ``flock``, on a file of its own: unlike POSIX locks it belongs to one descriptor.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _LOCK
        self._wanted = folder / f"{_LOCK}-wanted"
        self._descriptor = -1

    def share(self) -> None:
        """Say that the database is in use here."""
        self._take(exclusive=False)

    def take_alone(self) -> bool:
        """Whether nobody else has the database open; nobody can open it until `release` then."""
        return self._take(exclusive=True)

    def _take(self, *, exclusive: bool) -> bool:
        if fcntl is None:
            return True
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        except OSError:
            return not exclusive  # a file system without such locks: as if nobody were there to ask
        return True

    def ask_for(self) -> None:
        """Have those who hold it let go, within a second or two; see `wanted`."""
        self.release()
        with contextlib.suppress(OSError):
            os.close(os.open(self._wanted, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINK, 0o600))
            os.utime(self._wanted)

    def ask_no_more(self) -> None:
        """It was set aside."""
        with contextlib.suppress(OSError):
            os.unlink(self._wanted)

    def wanted(self) -> bool:
        """Whether another process waits for it; one that has gone meanwhile does so for a minute at most."""
        try:
            return time.time() - os.stat(self._wanted).st_mtime < _ASKED_SECONDS
        except OSError:
            return False

    def release(self) -> None:
        """The database is not in use here any more."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def forked(self) -> None:
        """In a child made by fork: its copy of the descriptor would keep the parent's lock."""
        with contextlib.suppress(OSError):
            self.release()
