"""The state directory, checked before it is used: whose it is, who else may write there, and no links."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autoperf.errors import AutoperfError
from autoperf.memo.filesystems import file_system

# SQLite's own files beside the database; Source: https://www.sqlite.org/tempfiles.html
_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
_MOST_LINKS: Final = 40  # as Linux follows them; Source: path_resolution(7)
# Without O_PATH (outside Linux) the folders on the way have to be readable, not only passable.
_OPEN: Final = (
    getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_PATH", 0)
)
_RELATIVE: Final = hasattr(os, "getuid") and {os.open, os.mkdir, os.stat, os.readlink} <= os.supports_dir_fd
# FAT, and the shares of a desktop's containers: one mode for everything, whatever is asked for.
_MODELESS: Final = frozenset(
    {"9p", "cifs", "drvfs", "exfat", "fakeowner", "fuseblk", "hfs", "msdos", "ntfs", "ntfs3", "osxfs", "smb2"}
    | {"smb3", "smbfs", "vboxsf", "vfat", "virtiofs", "vmhgfs"}
)


class StateDirectoryError(AutoperfError, OSError):
    """The directory or a file in it may not be used; the text says why, and what to do."""


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The state directory when none is named: ``$XDG_STATE_HOME/autoperf``, else the first of `places`.

    Source: XDG Base Directory Specification.
    """
    base = environ.get("XDG_STATE_HOME", "")
    return Path(base) / "autoperf" if os.path.isabs(base) else places()[0]


def places() -> list[Path]:
    """Where state lies unasked: in the user's home, if there is one; among the temporary files, last."""
    home = os.path.expanduser("~")
    at_home = [Path(home) / ".local" / "state" / "autoperf"] if os.path.isabs(home) else []
    return [*at_home, Path(_temporary()) / f"autoperf-{getattr(os, 'getuid', lambda: 'state')()}"]


def _temporary() -> str:
    given = os.environ.get("TMPDIR", "")  # `tempfile` keeps what it finds, and the host may set another later
    return given if os.path.isdir(given) else "/tmp" if os.name == "posix" else tempfile.gettempdir()


def make(directory: Path, file: str = "autoperf.db") -> None:
    """Make ``directory`` where it is missing, for the user alone; check it and the ``file`` in it.

    Refused, with `StateDirectoryError`: a folder or a link that an untrusted account owns, in a folder that
    everybody may write; a directory that everybody may write; anything but a plain file in the place of the
    database and its companions. Of the two default places more is asked, see `is_default`: they, and the
    database, belong to this user, nobody else may write there, and no link of a stranger's leads there.
    Trusted are this user and root. Another ``OSError`` when it cannot be made.
    """
    if _RELATIVE:
        _Walk(directory).run(file, create=True)
    else:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def refusal(directory: Path, file: str = "autoperf.db") -> str | None:
    """Why `make` would refuse ``directory`` as it is now; None when it would not. Makes nothing."""
    if _RELATIVE:
        try:
            _Walk(directory).run(file, create=False)
        except StateDirectoryError as error:
            return str(error)
        except OSError:
            return None
    return None


def expect_safe(directory: Path, file: str = "autoperf.db") -> None:
    """For readers: raises `StateDirectoryError` where `refusal` has a reason."""
    reason = refusal(directory, file)
    if reason is not None:
        raise StateDirectoryError(reason)


def is_default(directory: Path) -> bool:
    """Whether ``directory`` is one that nobody had to name: below the home, or among the temporary files."""
    return directory in places()


class _Walk:
    """From the root down to ``directory``, each step relative to the descriptor of the one before."""

    def __init__(self, directory: Path) -> None:
        self._target = os.path.abspath(directory)
        self._strict = is_default(directory)
        self._temporary = directory == places()[-1]
        self._trusted = {0, os.geteuid()}
        self._links = 0

    def run(self, file: str, *, create: bool) -> None:
        """Walk and check; the last folder's descriptor is closed again: SQLite opens by name."""
        with contextlib.ExitStack() as held:
            folder = _opened("/", None, held)
            path, todo = "/", _parts(self._target)
            while todo:
                name = todo.pop(0)
                found = self._entry(folder, name, create=create)
                path = os.path.normpath(os.path.join(path, name))
                self._check_entry(os.fstat(folder), found, path)
                if stat.S_ISLNK(found.st_mode):
                    target = self._followed(folder, name, path)
                    todo = [*_parts(target), *todo]
                    if os.path.isabs(target):
                        folder, path = _opened("/", None, held), "/"
                    else:
                        path = os.path.dirname(path)
                    continue
                folder = _opened(name, folder, held)
            self._check_last(os.fstat(folder))
            for suffix in _SUFFIXES:
                self._check_file(folder, file + suffix)

    def _entry(self, folder: int, name: str, *, create: bool) -> os.stat_result:
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            if not create:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _followed(self, folder: int, name: str, path: str) -> str:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise self._refused(f"too many links on the way, the last is {path}")
        return os.readlink(name, dir_fd=folder)

    def _check_entry(self, parent: os.stat_result, found: os.stat_result, path: str) -> None:
        foreign = found.st_uid not in self._trusted
        if parent.st_mode & stat.S_IWOTH and not self._has_no_modes(path):
            if foreign:
                raise self._refused(f"{path} {_owner(found)}, in a folder that everybody may write")
            if self._strict and not parent.st_mode & stat.S_ISVTX:
                raise self._refused(f"everybody may replace {path}: the folder above it lacks the sticky bit")
        if stat.S_ISLNK(found.st_mode) and self._strict and (foreign or path == self._target):
            raise self._refused(f"{path} is a link that {_owner(found)}" if foreign else f"{path} is a link")

    def _check_last(self, found: os.stat_result) -> None:
        others = stat.S_IMODE(found.st_mode) & (
            0o077 if self._temporary else 0o022 if self._strict else 0o002
        )
        if self._strict and found.st_uid != os.geteuid():
            raise self._refused(f"it {_owner(found)}, not to user {os.geteuid()}")
        if others and not self._has_no_modes(self._target):
            who = "everybody" if others & 0o007 else "its group"
            raise self._refused(f"{who} may {'write' if others & 0o022 else 'read'} there")

    def _check_file(self, folder: int, name: str) -> None:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(found.st_mode):
            raise self._refused(f"{name} in it is a link")
        if not stat.S_ISREG(found.st_mode):
            raise self._refused(f"{name} in it is no file")
        if self._strict and found.st_uid != os.geteuid():
            raise self._refused(f"{name} in it {_owner(found)}, not to user {os.geteuid()}")
        if self._temporary and found.st_nlink > 1:
            raise self._refused(f"{name} in it has another name elsewhere")

    def _has_no_modes(self, path: str) -> bool:
        kind = file_system(Path(path))
        return kind in _MODELESS or kind.startswith("fuse.")

    def _refused(self, reason: str) -> StateDirectoryError:
        return StateDirectoryError(
            f"{self._target} is not used: {reason}; set AUTOPERF_HOME to a folder of your own"
        )


def _opened(name: str, folder: int | None, held: contextlib.ExitStack) -> int:
    descriptor = os.open(name, os.O_RDONLY | _OPEN, dir_fd=folder)
    held.callback(os.close, descriptor)
    return descriptor


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _owner(found: os.stat_result) -> str:
    return f"belongs to user {found.st_uid}"
