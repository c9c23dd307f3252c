"""What was worked out from files holds for as long as the kernel tells of no change to them."""

from __future__ import annotations

from typing import Final, Protocol

from autoperf.watching import FolderWatch
from autoperf.witness import Look, unchanged

# Of something seen: nobody has watched over it yet, or nobody can.
UNWATCHED: Final = -1
_UNWATCHABLE: Final = -2


class Seen(Protocol):
    """Paths as they looked, and the generation of the watch at which they last looked so."""

    looks: dict[str, Look]
    generation: int


class Vigil:
    """Looks at paths again only after something that is watched has changed.

    Where the kernel tells nothing, or not of these paths, every path is looked at every time.
    """

    def __init__(self) -> None:
        self._watch = FolderWatch()
        self.forked = self._watch.forked
        self.close = self._watch.close

    def holds(self, seen: Seen) -> bool:
        """Whether every path looks as it did."""
        watch = self._watch
        if seen.generation == watch.generation():
            return True
        watched = seen.generation != _UNWATCHABLE and watch.watch_contents(seen.looks)
        # Whatever changes from here on moves it.
        now = watch.generation()
        if not unchanged(seen.looks):
            return False
        seen.generation = now if watched else _UNWATCHABLE
        return True
