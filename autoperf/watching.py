"""Folders and files that the kernel watches for us: half a microsecond tells whether one has changed."""

from __future__ import annotations

import ctypes
import os
import select
import stat
import struct
import tempfile
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from autoperf.mounts import file_system, is_prompt

# <sys/inotify.h>: attributes, moved from and to, created, deleted, and the folder itself deleted or moved.
_MASK: Final = 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
# Of a file: written to, attributes, closed by a writer, deleted, moved. Nothing is told of what is written
# through mmap(2) but that the file is closed at the end of it.
_FILE_MASK: Final = 0x2 | 0x4 | 0x8 | 0x400 | 0x800
_IGNORED: Final = 0x8000
_EVENT: Final = struct.Struct("iIII")
_NAMES_KEPT: Final = 20_000
# Every user may have so many in all, 8,192 in old kernels, and the host watches folders too.
_FILES_WATCHED: Final = 1_000
# A process that waits for this file is told of every mount, proc(5).
_MOUNTS: Final = "/proc/self/mounts"


class _Thread(threading.local):
    poll: select.poll | None = None
    mounts: Any = None
    round = -1


class FolderWatch:
    """Names in folders, watched through inotify(7), where there is one and it is seen to work.

    The kernel queues an event within the system call that makes the change, so a look at the queue afterwards
    cannot miss it. ``generation`` moves whenever something of interest changed, or may have.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = _Thread()
        self._round = 0
        self._generation = 0
        self._closes: weakref.finalize[[int], FolderWatch] | None = None
        self._open()

    def _open(self) -> None:
        self._fd = -1
        self._names: dict[int, set[bytes]] = {}
        self._folders: dict[str, int] = {}
        self._reached: set[str] = set()
        self._every: set[int] = set()
        self._files: set[int] = set()
        self._devices: dict[int, bool] = {}
        self._libc: ctypes.CDLL | None = None
        self._tried = False
        self._draining = 0
        self._mounts: select.poll | None = None
        self._mounts_file: Any = None
        self._interests = 0
        self._round += 1
        self._generation += 1

    def forked(self) -> None:
        """In a child made by fork: the queue is the parent's, and stays so."""
        self._give_back()
        self._lock = threading.Lock()
        self._open()

    def close(self) -> None:
        """Give the watches back; from then on nothing can be watched."""
        with self._lock:
            self._give_back()
            self._open()
            self._tried = True

    def _give_back(self) -> None:
        if self._closes is not None:
            self._closes()

    def generation(self) -> int:
        """A number that is another one whenever something of interest has changed since the last look."""
        thread = self._thread
        if thread.round != self._round:
            self._join(thread)
        if thread.poll is not None and ((ready := thread.poll.poll(0)) or self._draining):
            self._drain(mounted=any(fd != self._fd for fd, _ in ready))
        return self._generation

    def watch(self, paths: Iterable[str]) -> bool:
        """Watch whether these absolute paths exist; False where that cannot be, or not reliably.

        Also what lies on the way there: a folder above that is moved or made counts as a change.
        """
        with self._lock:
            if not self._tried:
                self._start()
            try:
                return self._fd >= 0 and all(self._watch_one(path) for path in paths)
            except (OSError, ValueError):  # a name that no file can have, a folder that is out of reach
                return False

    def deaf_to(self, paths: Iterable[str]) -> list[str]:
        """Watch whatever shows in a look at these paths, names in folders and contents of files included.

        Those that cannot be watched, or not reliably, are given back.
        """
        return [path for path in paths if not (self.watch([path]) and self._hears(path))]

    def _hears(self, path: str) -> bool:
        with self._lock:
            try:
                return self._fd >= 0 and self._watch_content(path)
            except (OSError, ValueError):
                return False

    def _start(self) -> None:
        self._tried = True
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            self._libc = libc
            if self._fd >= 0:
                # A user has 128 of them: one that nobody asks any more is given back.
                self._closes = weakref.finalize(self, os.close, self._fd)
                self._closes.atexit = False
        except (OSError, AttributeError, TypeError):
            return
        if self._fd >= 0 and not self._works():
            self._give_back()
            self._fd = -1
        if self._fd >= 0:
            self._follow_mounts()
        self._round += 1

    def _works(self) -> bool:
        with tempfile.TemporaryDirectory(prefix="autoperf-") as folder:
            if self._add(folder) is None:
                return False
            os.mkdir(os.path.join(folder, "seen"))
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            works = bool(poll.poll(0))
        self._names.clear()
        self._folders.clear()
        return works

    def _join(self, thread: _Thread) -> None:
        # One poll object a thread: the same one cannot be asked by two at a time.
        thread.round, thread.poll = self._round, None
        if self._fd >= 0:
            thread.poll = select.poll()
            thread.poll.register(self._fd, select.POLLIN)
            # Each thread its own: who has been told of a mount is not told again.
            with suppress(OSError):
                thread.mounts = open(_MOUNTS, "rb")  # noqa: SIM115 - it lives as long as the thread
                thread.poll.register(thread.mounts, select.POLLPRI)
            self._mounted_before()

    def _mounted_before(self) -> None:
        # A thread is told of what is mounted after its first look; of the time before nobody may have been.
        with self._lock:
            if self._mounts is not None and self._mounts.poll(0):
                self._forget_ways()

    def _follow_mounts(self) -> None:
        with suppress(OSError):
            self._mounts_file = open(_MOUNTS, "rb")  # noqa: SIM115 - it lives as long as the watch
            self._mounts = select.poll()
            self._mounts.register(self._mounts_file, select.POLLPRI)

    def _watch_one(self, path: str) -> bool:
        parts = path.split("/")
        if parts[0] or ".." in parts or "." in parts or len(path) > 3000:
            return False
        parent, _, last = path.rpartition("/")
        if parent in self._reached:
            return self._interest(parent, os.fsencode(last)) and not os.path.islink(path)
        folder = "/"
        for name in (part for part in parts if part):
            if not self._interest(folder, os.fsencode(name)):
                return False
            folder = os.path.join(folder, name)
            try:
                mode = os.lstat(folder).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return True
            if stat.S_ISLNK(mode):  # what a link leads to may change elsewhere
                return False
        self._reached.add(parent)
        return True

    def _watch_content(self, path: str) -> bool:
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return True
        if stat.S_ISDIR(mode):
            wd = self._folders.get(path)
            if wd is None:
                wd = self._add(path) if self._is_local(path) else None
            if wd is not None:
                self._every.add(wd)
            return wd is not None
        if not stat.S_ISREG(mode) or not self._is_local(path) or len(self._files) >= _FILES_WATCHED:
            return False
        assert self._libc is not None
        file: int = self._libc.inotify_add_watch(self._fd, os.fsencode(path), _FILE_MASK)
        if file >= 0:
            self._files.add(file)
        return file >= 0

    def _interest(self, folder: str, name: bytes) -> bool:
        wd = self._folders.get(folder)
        if wd is None:
            if not os.path.isdir(folder):
                # A file where a folder would have to be: its own name is watched in the folder above.
                return True
            wd = self._add(folder) if self._is_local(folder) else None
        if wd is None:
            return False
        names = self._names[wd]
        if name not in names:
            self._interests += 1
            names.add(name)
        return self._interests <= _NAMES_KEPT

    def _add(self, folder: str) -> int | None:
        assert self._libc is not None
        wd: int = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK)
        if wd < 0:
            return None
        self._folders[folder] = wd
        self._names.setdefault(wd, set())
        return wd

    def _is_local(self, folder: str) -> bool:
        device = os.stat(folder).st_dev
        if device not in self._devices:
            self._devices[device] = is_prompt(file_system(Path(folder)))
        return self._devices[device]

    def _drain(self, *, mounted: bool) -> None:
        # Between the reading and the counting another thread finds the queue empty: it must wait as well.
        self._draining += 1
        try:
            with self._lock:
                changed = mounted
                while data := self._pending():
                    changed = self._interesting(data) or changed
                if changed:
                    self._forget_ways()
        finally:
            self._draining -= 1

    def _forget_ways(self) -> None:
        # Whatever folder a path led to may be another one now: it is looked up anew.
        self._folders.clear()
        self._reached.clear()
        self._devices.clear()
        self._generation += 1

    def _pending(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except OSError:
            return b""

    def _interesting(self, data: bytes) -> bool:
        at, found = 0, False
        while at < len(data):
            wd, mask, _cookie, size = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + size].rstrip(b"\0")
            at += size
            if mask & _IGNORED:
                self._names.pop(wd, None)
                self._every.discard(wd)
                self._files.discard(wd)
            found = found or not name or wd in self._every or name in self._names.get(wd, ())
        return found
