"""Which files of a kind lie in several folders, looked up anew only when one of the folders has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.memo.counters import Lookups
from autoperf.memo.filesystems import Folders
from autoperf.memo.memo import Kept
from autoperf.memo.snapshot import Witness
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import Reliance, without_ours

SEAM: Final = "names in prompt folders"
RELIES_ON: Final = ("get_unique_filenames_in_dirs",)
KNOWN: Final = frozenset(
    {
        "07aa3a80719028e13c63cb61f20414855d7504bf9cd43d1e324fd30b004fb370",  # v0.9.3 - v0.9.7
        "64d85d504940a34e1a1ebe97ac3eadc03b340ef8c8da0b3e5b690b4543106690",  # v0.9.8
        "6f5691a343fee107945c49c38f15d0c044d63b10e0c5e91a727b0cc8c29728fb",  # v0.9.9 - v2.6
    }
)

Names = Callable[..., list[str]]


class FolderNames:
    """Stands in front of the host's ``get_unique_filenames_in_dirs(dir_paths, pattern, type)``."""

    def __init__(self, folders: Folders, lookups: Lookups, known: frozenset[str] = KNOWN) -> None:
        self.kept: Kept[list[str]] = Kept(folders.vigil)
        self._folders = folders
        self._lookups = lookups
        self._known = known

    def unique(self, original: Names, switch: Switch) -> Names:
        """The replacement; raises `AutoperfError` for a host that is not known."""
        space = without_ours(original).__globals__
        reliance = Reliance(space, RELIES_ON, self._known, switch)

        def get_unique_filenames_in_dirs(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            key = witness = None
            if reliance.holds():
                with guarded(SEAM):
                    key = _key(args, kwargs)
                    if key is not None and (found := self.kept.find(key)) is not None:
                        self._lookups.count(hit=True)
                        return list(found)
                    witness = None if key is None else self._witness(space["get_abs_path"], *key[:2])
            found = call(*args, **kwargs)
            if witness is not None:
                with guarded(SEAM):
                    self._lookups.count(hit=False)
                    self.kept.keep(key, list(found), witness)
            return found

        return get_unique_filenames_in_dirs

    def _witness(self, resolve: Callable[..., str], dirs: tuple[str, ...], pattern: str) -> Witness | None:
        witness = Witness()
        try:
            for name in dirs:
                folder = resolve(name)
                if any(c in "*?[" for c in folder) or not self._folders.note(witness, folder):
                    return None
                # What a link leads to can change without the folder.
                if witness.looks[folder] is not None and _has_links(folder, pattern):
                    return None
        except (OSError, ValueError):
            return None
        return witness


def _has_links(folder: str, pattern: str) -> bool:
    if not os.path.isdir(folder):
        return False
    with os.scandir(folder) as entries:
        return any(entry.is_symlink() and fnmatch(entry.name, pattern) for entry in entries)


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[str, ...], str, Any] | None:
    named = dict(zip(("dir_paths", "pattern", "type"), args, strict=False)) | kwargs
    dirs, pattern, kind = named.pop("dir_paths", None), named.pop("pattern", "*"), named.pop("type", None)
    if named or len(args) > 3 or type(dirs) is not list or not all(type(d) is str for d in dirs):
        return None
    if type(pattern) is not str or "/" in pattern or os.sep in pattern or type(kind) not in (str, type(None)):
        return None
    return tuple(dirs), pattern, kind
