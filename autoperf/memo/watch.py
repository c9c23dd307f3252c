"""Skips looking at the inputs of a memo again until the kernel reports a change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autoperf.errors import fail_open
from autoperf.memo.filesystems import file_system, is_prompt
from autoperf.memo.inotify import FolderWatch
from autoperf.memo.snapshot import Look, Signature, unchanged

# A file that is written again and again would have everything looked at again and again: it takes so many
# looks at the same thing before anything is watched.
_PATIENCE: Final = -3
_UNWATCHABLE: Final = -4


class Snapshot:
    """Paths as they looked when a result was made from them.

    ``generation`` is that of the watch when they last looked so; of the ``rest`` the kernel tells nothing.
    """

    __slots__ = ("generation", "looks", "rest")

    def __init__(self, looks: Mapping[str, Look]) -> None:
        self.looks = looks
        self.generation = _PATIENCE
        self.rest: dict[str, Look] | None = None


class Watch:
    """Tells whether snapshots are intact; one for a process.

    Where the kernel tells nothing, or not of these paths, they are looked at every time; everywhere without
    ``inotify``.
    """

    def __init__(self, inotify: bool = True) -> None:
        self.inotify = inotify
        self._folders = FolderWatch(inotify)
        self._prompt: dict[int, bool] = {}
        self.forked = self._folders.forked
        self.close = self._folders.close

    def intact(self, snapshot: Snapshot) -> bool:
        """Whether every path looks as it did; where the watch fails there is none from then on."""
        try:
            return self._intact(snapshot)
        except Exception as error:
            self.close()
            fail_open("watch", error)
            return unchanged(snapshot.looks)

    def tells_names(self, folder: str, look: Signature) -> bool:
        """Whether a look at ``folder`` shows every name that comes or goes; ``look`` is its present one.

        Systems without inotify have no file system that is known to do so.
        """
        device = look[-1]
        if device not in self._prompt:
            self._prompt[device] = self.inotify and is_prompt(file_system(Path(folder)))
        return self._prompt[device]

    def _intact(self, snapshot: Snapshot) -> bool:
        folders = self._folders
        if snapshot.generation == folders.generation():
            return snapshot.rest is None or unchanged(snapshot.rest)
        if snapshot.generation < -1:
            if not unchanged(snapshot.looks):
                return False
            if snapshot.generation != _UNWATCHABLE:
                snapshot.generation += 1
            return True
        deaf = folders.deaf_to(snapshot.looks)
        # Whatever changes from here on moves it.
        now = folders.generation()
        if not unchanged(snapshot.looks):
            return False
        snapshot.rest = {path: snapshot.looks[path] for path in deaf} or None
        snapshot.generation = now if len(deaf) < len(snapshot.looks) else _UNWATCHABLE
        return True
