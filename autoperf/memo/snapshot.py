"""Paths as they looked just before something was worked out from them, to see whether it still holds."""

from __future__ import annotations

import os
import time

from autoperf.memo.stamps import Signature, Stamp, newest, signature, signature_of

Look = Signature | None


def look(path: str) -> Look:
    """How ``path`` looks now; None is absence. Raises ``OSError`` or ``ValueError`` when that cannot be told.

    On a folder it changes with every name that comes or goes, see `Folders`.
    """
    try:
        return signature_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


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
        latest = max((newest(seen) for seen in self.looks.values() if seen), default=0)
        return Stamp((), latest).settled(self._began_ns)


def unchanged(looks: dict[str, Look]) -> bool:
    """Whether every path looks as it did. Microseconds; one stat a path."""
    stat = os.stat
    for path, before in looks.items():
        try:
            now = signature(stat(path))
        except (FileNotFoundError, NotADirectoryError):
            if before is not None:
                return False
            continue
        except (OSError, ValueError):
            return False
        if before != now:
            return False
    return True
