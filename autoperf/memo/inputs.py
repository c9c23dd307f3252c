"""What a result is made from: paths looked at before the work, so that a later change to them shows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from autoperf.memo.snapshot import Look, look, newest, settled
from autoperf.memo.watch import Watch

# Why nothing was kept.
LINKED: Final = "a link leads elsewhere"
TOO_MANY: Final = "too many files or folders"
_UNSEEN: Final = "a file system that does not tell of names"


class UnkeptError(Exception):
    """Nothing can be kept of a call; its argument, one of a few fixed texts, says why."""


class Inputs:
    """The inputs of one call, each looked at once, before the call.

    Every method raises `UnkeptError` where a change would not show, ``OSError`` or ``ValueError`` where the
    path cannot be looked at: a memo then leaves the call to the host.
    """

    __slots__ = ("_began_ns", "_newest_ns", "_watch", "looks")

    def __init__(self, watch: Watch) -> None:
        self._began_ns = time.time_ns()
        self._newest_ns = 0
        self._watch = watch
        self.looks: dict[str, Look] = {}

    def file(self, path: str) -> Look:
        """The content of a file, links followed; None where there is none."""
        seen = self._look(path)
        if seen is not None:
            self._newest_ns = max(self._newest_ns, newest(seen))
        return seen

    def exists(self, path: str) -> bool:
        """Whether there is something at ``path``, whatever is in it."""
        return self._look(path) is not None

    def names(self, folder: str) -> Look:
        """The names in a folder. One that is absent shows it by appearing."""
        seen = self.file(folder)
        if seen is not None and not self._watch.tells_names(folder, seen):
            raise UnkeptError(_UNSEEN)
        return seen

    def name(self, path: str) -> None:
        """Whether a path exists, by the look of its folder where that tells: for many in few folders."""
        folder = os.path.dirname(path)
        seen = self.file(folder)
        if (seen is not None and not self._watch.tells_names(folder, seen)) or os.path.islink(path):
            self.file(path)

    def tree(self, root: str, most: int, linked: Callable[[os.DirEntry[str]], bool]) -> None:
        """The names in every folder below ``root``, at most ``most`` folders; no entry may be ``linked``.

        What a link leads to can change without the folder that it stands in.
        """
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            self.names(folder)
            if len(self.looks) > most:
                raise UnkeptError(TOO_MANY)
            if not os.path.isdir(folder):
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink() and linked(entry):
                        raise UnkeptError(LINKED)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)

    def add(self, looks: Mapping[str, Look]) -> bool:
        """Take over the looks of other inputs; False where the two saw the same path differently."""
        own = self.looks
        self._newest_ns = max([self._newest_ns, *(newest(seen) for seen in looks.values() if seen)])
        return all(own.setdefault(path, seen) == seen for path, seen in looks.items())

    def settled(self) -> bool:
        """Whether a change since the first look is sure to show."""
        return settled(self._newest_ns, self._began_ns)

    def _look(self, path: str) -> Look:
        if path not in self.looks:
            self.looks[path] = look(path)
        return self.looks[path]


class Environment:
    """The variables of this process, as one value to compare: another one once any of them was changed.

    ``usable(variables)`` says whether a result can follow from them; it is asked once for each change.
    """

    def __init__(self, usable: Callable[[Mapping[Any, Any]], bool]) -> None:
        self._usable = usable
        self._known: tuple[dict[Any, Any] | None, Hashable] = (None, None)

    def now(self) -> Hashable:
        """The present value; None where it is not usable."""
        environ = os.environ
        table = getattr(environ, "_data", environ)
        # A copy shares its values with the table, so equal ones are found so without being read.
        before, value = self._known
        if before != table:
            before = dict(table)
            value = object() if self._usable(before) else None
            self._known = before, value
        return value
