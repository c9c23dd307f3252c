"""Folders and files that the kernel watches for us: half a microsecond tells whether one has changed."""

from __future__ import annotations

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
from typing import Final

from autoperf.memo.filesystems import file_system, is_prompt

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


class _Queue:
    """The descriptors that tell of changes: the kernel's queue, and the list of mounts. Both or none.

    Raises ``OSError``, ``AttributeError`` or ``TypeError`` where they cannot be had, or tell nothing.
    """

    def __init__(self) -> None:
        try:
            import ctypes  # here: some Pythons are built without
        except ImportError as missing:
            raise OSError("this Python has no ctypes") from missing
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError("no instance of inotify to be had")
        # A user has 128 of them: one that nobody asks any more is given back.
        self.close = weakref.finalize(self, os.close, self.fd)
        self.close.atexit = False
        try:
            # Who has been told of a mount is not told again: whoever looks does so for everybody.
            self._mounts = open(_MOUNTS, "rb")  # noqa: SIM115 - it lives as long as the queue
            self._poll = select.poll()
            self._poll.register(self.fd, select.POLLIN)
            self._poll.register(self._mounts, select.POLLPRI)
            if not self._works():
                raise OSError("inotify tells nothing of a folder that was made")
            self.read()
        except BaseException:
            self.close()
            raise

    def _works(self) -> bool:
        # Named: `tempfile` keeps for the process the folder it looked for, and the host may set TMPDIR later.
        place = os.environ.get("TMPDIR") or "/tmp"
        with tempfile.TemporaryDirectory(prefix="autoperf-", dir=place) as folder:
            if self.add(folder, _MASK) is None:
                return False
            os.mkdir(os.path.join(folder, "seen"))
            return any(fd == self.fd and event == select.POLLIN for fd, event in self._poll.poll(0))

    def add(self, path: str, mask: int) -> int | None:
        """The descriptor of a watch on ``path``; None where the kernel gives none."""
        wd: int = self.libc.inotify_add_watch(self.fd, os.fsencode(path), mask)
        return None if wd < 0 else wd

    def ready(self) -> list[tuple[int, int]]:
        """What has something to tell, as `select.poll.poll` gives it; for one thread at a time."""
        return self._poll.poll(0)

    def read(self) -> bytes:
        """Events that have happened; empty when there are no more of them."""
        try:
            return os.read(self.fd, 65536)
        except BlockingIOError:
            return b""


class FolderWatch:
    """Names in folders, watched through inotify(7), where there is one and it is seen to work.

    The kernel queues an event within the system call that makes the change, so a look at the queue afterwards
    cannot miss it. ``generation`` moves whenever something of interest changed, or may have. A watch that
    cannot be set up, or fails, watches nothing from then on: everything has to be looked at. So it is from
    the beginning unless it is ``on``.
    """

    def __init__(self, on: bool = True) -> None:
        self._on = on
        # A collection may run the host's code, and that ask again, while this thread holds it.
        self._lock = threading.RLock()
        self._generation = 0
        self._queue: _Queue | None = None
        self._open()

    def _open(self) -> None:
        queue, self._queue = self._queue, None
        self._names: dict[int, set[bytes]] = {}
        self._folders: dict[str, int] = {}
        self._reached: set[str] = set()
        self._every: set[int] = set()
        self._files: set[int] = set()
        self._devices: dict[int, bool] = {}
        self._given_up = False
        self._draining = False
        self._interests = 0
        self._generation += 1
        if queue is not None:
            with suppress(OSError):  # somebody has closed whatever was open
                queue.close()

    def forked(self) -> None:
        """In a child made by fork: the queue is the parent's, and stays so."""
        self._lock = threading.RLock()
        self._open()

    def close(self) -> None:
        """Give the watches back; from then on nothing can be watched."""
        with self._lock:
            self._open()
            self._given_up = True

    def generation(self) -> int:
        """A number that is another one whenever something of interest has changed since the last look.

        Where nobody tells of changes it is another one each time.
        """
        with self._lock:
            queue = self._queue
            if queue is None or self._draining:
                self._generation += 1
            elif ready := queue.ready():
                self._drain(queue, ready)
            return self._generation

    def watch(self, paths: Iterable[str]) -> bool:
        """Watch whether these absolute paths exist; False where that cannot be, or not reliably.

        Also what lies on the way there: a folder above that is moved or made counts as a change.
        """
        with self._lock:
            queue = self._started()
            try:
                return queue is not None and all(self._watch_one(queue, path) for path in paths)
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
                return self._queue is not None and self._watch_content(self._queue, path)
            except (OSError, ValueError):
                return False

    def _started(self) -> _Queue | None:
        if self._queue is None and self._on and not self._given_up:
            self._given_up = True  # unless all of it can be set up
            try:
                self._queue = _Queue()
                self._given_up = False
            except (OSError, AttributeError, TypeError):
                return None
        return self._queue

    def _watch_one(self, queue: _Queue, path: str) -> bool:
        parts = path.split("/")
        if parts[0] or ".." in parts or "." in parts or len(path) > 3000:
            return False
        parent, _, last = path.rpartition("/")
        if parent in self._reached:
            return self._interest(queue, parent, os.fsencode(last)) and not os.path.islink(path)
        folder = "/"
        for name in (part for part in parts if part):
            if not self._interest(queue, folder, os.fsencode(name)):
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

    def _watch_content(self, queue: _Queue, path: str) -> bool:
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return True
        if stat.S_ISDIR(mode):
            wd = self._folders.get(path)
            if wd is None:
                wd = self._add(queue, path) if self._is_local(path) else None
            if wd is not None:
                self._every.add(wd)
            return wd is not None
        if not stat.S_ISREG(mode) or not self._is_local(path) or len(self._files) >= _FILES_WATCHED:
            return False
        file = queue.add(path, _FILE_MASK)
        if file is not None:
            self._files.add(file)
        return file is not None

    def _interest(self, queue: _Queue, folder: str, name: bytes) -> bool:
        wd = self._folders.get(folder)
        if wd is None:
            if not os.path.isdir(folder):
                # A file where a folder would have to be: its own name is watched in the folder above.
                return True
            wd = self._add(queue, folder) if self._is_local(folder) else None
        if wd is None:
            return False
        names = self._names[wd]
        if name not in names:
            if self._interests >= _NAMES_KEPT:
                return False
            self._interests += 1
            names.add(name)
        return True

    def _add(self, queue: _Queue, folder: str) -> int | None:
        wd = queue.add(folder, _MASK)
        if wd is not None:
            self._folders[folder] = wd
            self._names.setdefault(wd, set())
        return wd

    def _is_local(self, folder: str) -> bool:
        device = os.stat(folder).st_dev
        if device not in self._devices:
            self._devices[device] = is_prompt(file_system(Path(folder)))
        return self._devices[device]

    def _drain(self, queue: _Queue, ready: list[tuple[int, int]]) -> None:
        self._draining = changed = True  # unless it is seen that nothing of interest has
        try:
            changed = self._changed(queue, ready)
        finally:
            self._draining = False
            if changed:
                self._generation += 1
                # Whatever folder a path led to may be another one now: it is looked up anew.
                self._folders.clear()
                self._reached.clear()
                self._devices.clear()

    def _changed(self, queue: _Queue, ready: list[tuple[int, int]]) -> bool:
        changed = any(fd != queue.fd for fd, _ in ready)
        try:
            while data := queue.read():
                changed = self._interesting(data) or changed
        except OSError:  # somebody has closed whatever was open
            self.close()
        return changed

    def _interesting(self, data: bytes) -> bool:
        at, found = 0, False
        while at < len(data):
            wd, mask, _cookie, size = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + size].rstrip(b"\0")
            at += size
            if mask & _IGNORED:
                self._interests -= len(self._names.pop(wd, ()))
                self._every.discard(wd)
                self._files.discard(wd)
            found = found or not name or wd in self._every or name in self._names.get(wd, ())
        return found
