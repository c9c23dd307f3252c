"""Which version a git checkout is at, read from its files: no subprocess, no index, no history."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import zlib
from pathlib import Path
from typing import Final

_SHA: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHORT: Final = 12
_LONGEST_FILE: Final = 8 << 20
_REFERENCES_FOLLOWED: Final = 5
_TAG: Final = re.compile(r"v?(\d+(?:\.\d+)+)", re.ASCII)
Number = tuple[int, ...]


def revision(root: Path) -> str | None:
    """The tag that ``root`` is checked out at, else the first 12 digits of its commit; None without git.

    A tree in a folder of another repository has no version of its own.
    Source: gitrepository-layout(5), git-pack-refs(1).
    """
    try:
        folder = folder_of(root)
        refs = None if folder is None else Refs(folder)
        commit = None if refs is None else refs.resolve("HEAD")
        tags = [] if refs is None or commit is None else refs.tags_of(commit)
    except OSError:
        return None
    return max(tags, key=_by_number) if tags else commit and commit[:_SHORT]


def number(version: str | None) -> Number | None:
    """``v0.9.8.1`` as numbers; None for a commit, a pre-release, or anything else that is no plain tag."""
    found = _TAG.fullmatch(version or "")
    if found is None:
        return None
    parts = [int(part) for part in found[1].split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def folder_of(root: Path) -> Path | None:
    """The git folder of the work tree ``root``: its ``.git``, or what that file points at."""
    place = root / ".git"
    if place.is_dir():
        return place
    pointer = text_of(place)
    return _normal(root / pointer.partition(":")[2].strip()) if pointer.startswith("gitdir:") else None


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


class Refs:
    """The references of a git folder; ``common`` is the folder that its work trees share."""

    def __init__(self, folder: Path) -> None:
        named = text_of(folder / "commondir").strip()
        self.common = common = _normal(folder / named) if named else folder
        self._folders = (folder, common)
        self._packed: dict[str, set[str]] = {}
        name = ""
        for line in text_of(common / "packed-refs").splitlines():
            if line.startswith("^"):
                self._packed.get(name, set()).add(line[1:].strip())
            elif not line.startswith("#"):
                sha, _, name = line.strip().partition(" ")
                self._packed[name] = {sha}

    def named(self, name: str) -> str:
        """What a reference says, loose or packed, followed no further; empty where there is none."""
        loose = next(filter(None, (text_of(folder / name).strip() for folder in self._folders)), "")
        return loose or next((sha for sha in self._packed.get(name, ()) if _SHA.fullmatch(sha)), "")

    def resolve(self, name: str) -> str | None:
        """The commit that ``name`` stands for; None for none."""
        for _ in range(_REFERENCES_FOLLOWED):
            text = self.named(name)
            if not text.startswith("ref:"):
                return text if _SHA.fullmatch(text) else None
            name = text.partition(":")[2].strip()
        return None

    def tags_of(self, commit: str) -> list[str]:
        """The tags of a commit, annotated ones included."""
        prefix, common = "refs/tags/", self._folders[1]
        loose = {}
        with contextlib.suppress(FileNotFoundError):  # git packs or deletes them at this moment
            for path in (common / "refs" / "tags").rglob("*"):
                if path.is_file():
                    loose[path.relative_to(common).as_posix()] = self._tagged(text_of(path).strip())
        every = {**self._packed, **loose}
        return [
            name[len(prefix) :] for name, shas in every.items() if name.startswith(prefix) and commit in shas
        ]

    def _tagged(self, sha: str) -> set[str]:
        """``sha`` and, when it is a tag object by itself, the commit it stands for."""
        try:
            raw = (self._folders[1] / "objects" / sha[:2] / sha[2:]).read_bytes()
            found = re.match(rb"tag \d+\0object ([0-9a-f]+)\n", zlib.decompressobj().decompress(raw, 200))
        except (OSError, zlib.error):
            return {sha}
        return {sha, found[1].decode()} if found else {sha}


def _by_number(tag: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", tag)]


def text_of(path: Path) -> str:
    """The text of a file; empty where there is none. Raises ``OSError``, of one beyond 8 MiB too."""
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise OSError(errno.EFBIG, "too long", str(path))
        return path.read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
