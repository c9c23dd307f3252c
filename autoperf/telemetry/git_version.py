"""Which version a git checkout is at, read from its files: no subprocess, no index, no history."""

from __future__ import annotations

import contextlib
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
    folder = _git_folder(root)
    if folder is None:
        return None
    common = _text(folder / "commondir").strip()
    refs = _Refs(folder, folder / common if common else folder)
    commit = refs.resolve("HEAD")
    if commit is None:
        return None
    tags = refs.tags_of(commit)
    return max(tags, key=_by_number) if tags else commit[:_SHORT]


def number(version: str | None) -> Number | None:
    """``v0.9.8.1`` as numbers; None for a commit, a pre-release, or anything else that is no plain tag."""
    found = _TAG.fullmatch(version or "")
    if found is None:
        return None
    parts = [int(part) for part in found[1].split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _git_folder(root: Path) -> Path | None:
    place = root / ".git"
    if place.is_dir():
        return place
    pointer = _text(place)
    return root / pointer.partition(":")[2].strip() if pointer.startswith("gitdir:") else None


class _Refs:
    def __init__(self, folder: Path, common: Path) -> None:
        self._folders = (folder, common)
        self._packed: dict[str, set[str]] = {}
        name = ""
        for line in _text(common / "packed-refs").splitlines():
            if line.startswith("^"):
                self._packed.get(name, set()).add(line[1:].strip())
            elif not line.startswith("#"):
                sha, _, name = line.strip().partition(" ")
                self._packed[name] = {sha}

    def resolve(self, name: str) -> str | None:
        for _ in range(_REFERENCES_FOLLOWED):
            text = next(filter(None, (_text(folder / name).strip() for folder in self._folders)), "")
            if not text:
                return next((sha for sha in self._packed.get(name, ()) if _SHA.fullmatch(sha)), None)
            if not text.startswith("ref:"):
                return text if _SHA.fullmatch(text) else None
            name = text.partition(":")[2].strip()
        return None

    def tags_of(self, commit: str) -> list[str]:
        prefix, common = "refs/tags/", self._folders[1]
        loose = {}
        with contextlib.suppress(FileNotFoundError):  # git packs or deletes them at this moment
            for path in (common / "refs" / "tags").rglob("*"):
                if path.is_file():
                    loose[path.relative_to(common).as_posix()] = self._tagged(_text(path).strip())
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


def _text(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size <= _LONGEST_FILE:
            return path.read_text("utf-8", "replace")
    except OSError:
        pass
    return ""
