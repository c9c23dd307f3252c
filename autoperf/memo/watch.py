"""What was worked out from files holds for as long as the kernel tells of no change to them."""

from __future__ import annotations

from typing import Final

from autoperf.errors import fail_open
from autoperf.memo.inotify import FolderWatch
from autoperf.memo.snapshot import Look, unchanged

# A file that is written again and again would have everything looked at again and again: it takes so many
# looks at the same thing before anything is watched.
_PATIENCE: Final = -3
_UNWATCHABLE: Final = -4


class Seen:
    """Paths as they looked when something was worked out from them.

    ``generation`` is that of the watch at which they last looked so; of the ``rest`` nobody tells.
    """

    __slots__ = ("generation", "looks", "rest")

    def __init__(self, looks: dict[str, Look]) -> None:
        self.looks = looks
        self.generation = _PATIENCE
        self.rest: dict[str, Look] | None = None


class Vigil:
    """Looks at paths again only after something that is watched has changed.

    Where the kernel tells nothing, or not of these paths, they are looked at every time; everywhere without
    ``inotify``.
    """

    def __init__(self, inotify: bool = True) -> None:
        self.inotify = inotify
        self._watch = FolderWatch(inotify)
        self.forked = self._watch.forked
        self.close = self._watch.close

    def holds(self, seen: Seen) -> bool:
        """Whether every path looks as it did; where the watch fails there is none from then on."""
        try:
            return self._holds(seen)
        except Exception as error:
            self.close()
            fail_open("watch", error)
            return unchanged(seen.looks)

    def _holds(self, seen: Seen) -> bool:
        watch = self._watch
        if seen.generation == watch.generation():
            return seen.rest is None or unchanged(seen.rest)
        if seen.generation < -1:
            if not unchanged(seen.looks):
                return False
            if seen.generation != _UNWATCHABLE:
                seen.generation += 1
            return True
        deaf = watch.deaf_to(seen.looks)
        # Whatever changes from here on moves it.
        now = watch.generation()
        if not unchanged(seen.looks):
            return False
        seen.rest = {path: seen.looks[path] for path in deaf} or None
        seen.generation = now if len(deaf) < len(seen.looks) else _UNWATCHABLE
        return True
