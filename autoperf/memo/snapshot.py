"""What a path looked like at one moment: the one rule by which two looks are compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

_TICK_NS: Final = 50_000_000
_COARSE_TICK_NS: Final = 2_000_000_000
_SECOND_NS: Final = 1_000_000_000

Signature = tuple[int, int, int, int, int]
Look = Signature | None  # None is absence


def signature(seen: os.stat_result) -> Signature:
    """By what two looks at a path are compared, everywhere: equal means that nothing was changed in between.

    Times of modification and of change (ns), size (bytes), inode, device. The time of change (``st_ctime``,
    on Windows that of creation) is what nobody can set back.
    """
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_dev


def signature_of(path: str) -> Signature:
    """The signature of ``path`` as it looks now; raises ``OSError`` where there is none to be seen."""
    return signature(os.stat(path))


def look(path: str) -> Look:
    """How ``path`` looks now; raises ``OSError`` or ``ValueError`` when that cannot be told."""
    try:
        return signature_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def newest(signature: Sequence[int]) -> int:
    """The later of the two times in a signature, ns."""
    return max(signature[0], signature[1])


def settled(newest_ns: int, at_ns: int) -> bool:
    """Whether a change just after ``at_ns`` (Unix time, ns) shows in what was last touched at ``newest_ns``.

    File systems keep time in ticks: two writes within one tick look the same. A path written within a
    tick before it was looked at is therefore not trusted. The rule is git's for "racy" index entries.
    """
    whole_seconds = newest_ns % _SECOND_NS == 0 and newest_ns > 0
    return newest_ns + (_COARSE_TICK_NS if whole_seconds else _TICK_NS) < at_ns


def unchanged(looks: Mapping[str, Look]) -> bool:
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


class Stamp(NamedTuple):
    """The look of one path, or of several together, as one value; equal stamps mean unchanged.

    ``signature`` is what `signature` gives, for a folder also its names; absence has one of its own.
    ``newest_ns`` is the latest time in it.
    """

    signature: Hashable
    newest_ns: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """Stamp of one file. Raises ``OSError`` when it cannot be looked at, other than for absence."""
        found = look(path)
        return ABSENT if found is None else cls(found, newest(found))

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
        """Whether a change just after ``at_ns`` (Unix time, ns) shows in the stamp; see `settled`."""
        return settled(self.newest_ns, at_ns)


ABSENT: Final = Stamp(("absent",), 0)


def stamp_or_none(take: Callable[[str], Stamp], path: str) -> Stamp | None:
    """``take(path)``, or None for what cannot be looked at: a name too long, a NUL in it, no permission."""
    try:
        return take(path)
    except (OSError, ValueError):
        return None
