"""What a file or folder looked like, so that it can be seen whether it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, NamedTuple

_TICK_NS: Final = 50_000_000
_COARSE_TICK_NS: Final = 2_000_000_000
_SECOND_NS: Final = 1_000_000_000
_ABSENT_MARK: Final = ("absent",)


Signature = tuple[int, int, int, int, int]


def signature(seen: os.stat_result) -> Signature:
    """By what two looks at a path are compared, everywhere: equal means that nothing was changed in between.

    Times of modification and of change (ns), size (bytes), inode, device. The time of change (``st_ctime``,
    on Windows that of creation) is what nobody can set back.
    """
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_dev


def signature_of(path: str) -> Signature:
    """The signature of ``path`` as it looks now; raises ``OSError`` where there is none to be seen."""
    return signature(os.stat(path))


def newest(signature: Sequence[int]) -> int:
    """The later of the two times in a signature, ns."""
    return max(signature[0], signature[1])


class Stamp(NamedTuple):
    """The look of a path at one moment; equal stamps mean unchanged.

    ``signature`` is what `signature` gives, for a folder also its names; absence has one of its own.
    ``newest_ns`` is the latest time in it.
    """

    signature: Hashable
    newest_ns: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """Stamp of one file. Raises ``OSError`` when it cannot be looked at, other than for absence."""
        try:
            found = signature_of(path)
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        return cls(found, newest(found))

    @classmethod
    def of_names(cls, folder: str, suffix: str = "") -> Stamp:
        """Stamp of a folder and of the names in it that end in ``suffix``, whatever is in the files."""
        own = cls.of(folder)
        if own is ABSENT:
            return ABSENT
        try:
            names = tuple(sorted(name for name in os.listdir(folder) if name.endswith(suffix)))
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        return cls((own.signature, names), own.newest_ns)

    @classmethod
    def of_contents(cls, folder: str, suffix: str = "") -> Stamp:
        """Stamp of a folder, its names, and every file in it that ends in ``suffix`` (one level)."""
        own = cls.of_names(folder, suffix)
        if own is ABSENT:
            return ABSENT
        names: tuple[str, ...] = own.signature[1]  # type: ignore[index]
        return cls.together([own, *(cls.of(os.path.join(folder, name)) for name in names)])

    @classmethod
    def together(cls, stamps: Iterable[Stamp]) -> Stamp:
        """One stamp for several paths, in order."""
        parts = tuple(stamps)
        return cls(tuple(p.signature for p in parts), max((p.newest_ns for p in parts), default=0))

    def settled(self, at_ns: int) -> bool:
        """Whether a change just after ``at_ns`` (Unix time, ns) is sure to show in the stamp.

        File systems keep time in ticks: two writes within one tick look the same. A path written within a
        tick before it was looked at is therefore not trusted. The rule is git's for "racy" index entries.
        """
        whole_seconds = self.newest_ns % _SECOND_NS == 0 and self.newest_ns > 0
        return self.newest_ns + (_COARSE_TICK_NS if whole_seconds else _TICK_NS) < at_ns


ABSENT: Final = Stamp(_ABSENT_MARK, 0)


def stamp_or_none(look: Callable[[str], Stamp], path: str) -> Stamp | None:
    """``look(path)``, or None for what cannot be looked at: a name too long, a NUL in it, no permission."""
    try:
        return look(path)
    except (OSError, ValueError):
        return None
