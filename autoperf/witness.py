"""Paths as they looked just before something was worked out from them, to see whether it still holds."""

from __future__ import annotations

import os
import time
from typing import Final

from autoperf.stamps import Stamp

Look = tuple[int, ...] | None
_POSIX: Final = os.name == "posix"


def look(path: str) -> Look:
    """How ``path`` looks now; None is absence. Raises ``OSError`` or ``ValueError`` when that cannot be told.

    Beside what a `Stamp` has it holds the time of the last change (st_ctime, which nobody can set back) and
    the device. On a folder it changes with every name that comes or goes, see `Folders`.
    """
    try:
        seen = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_dev


class Witness:
    """Collects looks before the work, and tells later whether the paths still look the same.

    What is read between two looks is only trusted when no path was touched within a tick of its file system
    before the first, see `Stamp.settled`.
    """

    __slots__ = ("_began_ns", "looks")

    def __init__(self) -> None:
        self._began_ns = time.time_ns()
        self.looks: dict[str, Look] = {}

    def note(self, path: str) -> Look:
        """Look at ``path`` unless it was looked at before; what `look` raises passes."""
        if path in self.looks:
            return self.looks[path]
        seen = self.looks[path] = look(path)
        return seen

    def add(self, looks: dict[str, Look]) -> bool:
        """Take over what another witness saw; False when the two saw the same path differently."""
        own = self.looks
        return all(own.setdefault(path, seen) == seen for path, seen in looks.items())

    def settled(self) -> bool:
        """Whether a change since the first look is sure to show."""
        newest = max((max(s[:2]) if _POSIX else s[0] for s in self.looks.values() if s), default=0)
        return Stamp((), newest).settled(self._began_ns)


def unchanged(looks: dict[str, Look]) -> bool:
    """Whether every path looks as it did. Microseconds; one stat a path."""
    stat = os.stat
    for path, before in looks.items():
        try:
            s = stat(path)
        except (FileNotFoundError, NotADirectoryError):
            if before is not None:
                return False
            continue
        except (OSError, ValueError):
            return False
        if before != (s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_ino, s.st_dev):
            return False
    return True
