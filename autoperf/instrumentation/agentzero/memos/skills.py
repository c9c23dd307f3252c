"""Skill folders are searched, and their files parsed, anew only when one of them has changed."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.memo.counters import Lookups
from autoperf.memo.filesystems import Folders
from autoperf.memo.memo import Kept
from autoperf.memo.snapshot import Witness
from autoperf.patching.patch import Switch, expect_parameters
from autoperf.patching.reliance import Reliance, without_ours

SEAM: Final = "skills"
MOST_FOLDERS: Final = 512
DISCOVERS_BY: Final = ("discover_skill_md_files", "_is_hidden_path")
DISCOVERY: Final = frozenset(
    {"ff37f7ec06442f7c3f054c237cf00d535d23ab7cac34f6fb0e487ea186a30b74"}
)  # v0.9.8 on
PARSES_BY: Final = (
    "skill_from_markdown", "split_frontmatter", "parse_frontmatter", "_parse_frontmatter_fallback",
    "_coerce_list", "_read_text", "validate_skill", "_warn_skill_skipped",
)  # fmt: skip
PARSING: Final = frozenset(
    {
        "8f116b163255ebb92970866231a8ca30dbe945ed70bbc9ec1455b2b26984ccd7",  # v0.9.8 - v1.9
        "6fdfcc4f1fc43fb5506ff14a1647fed2a098b276609e1559ffb78b5486aca19c",  # v0.9.8-pre
        "0268a9b4af41179844eaf13be993b04bb60f548ae90cce511a40d03b50f7132d",  # v1.14 - v2.0
        "260447b23c93f99a770a2542dc331fd8462b889d035ed5dc653b775fada14c28",  # v2.1 - v2.6
    }
)


class SkillFiles:
    """Stands in front of the host's ``discover_skill_md_files`` and ``skill_from_markdown``."""

    def __init__(
        self,
        folders: Folders,
        lookups: Lookups,
        discovery: frozenset[str] = DISCOVERY,
        parsing: frozenset[str] = PARSING,
    ) -> None:
        self.found: Kept[list[Path]] = Kept(folders.vigil)
        self.parsed: Kept[Any] = Kept(folders.vigil)
        self._folders = folders
        self._lookups = lookups
        self._discovery = discovery
        self._parsing = parsing

    def discovers(self, original: Callable[..., list[Path]], switch: Switch) -> Callable[..., list[Path]]:
        """For ``discover_skill_md_files(root)``."""
        expect_parameters(original, "root")
        space = without_ours(original).__globals__
        reliance = Reliance(space, DISCOVERS_BY, self._discovery, switch)

        def discover_skill_md_files(call: Any, root: Any) -> list[Path]:
            found: Any
            witness = None
            if isinstance(root, PurePath) and reliance.holds():
                with guarded(SEAM):
                    if (found := self.found.find(root)) is not None:
                        return list(found)
                    witness = self._tree(root)
            found = call(root)
            if witness is not None:
                with guarded(SEAM):
                    self.found.keep(root, list(found), witness)
            return found  # type: ignore[no-any-return]

        return discover_skill_md_files

    def parses(self, original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
        """For ``skill_from_markdown(path, *, include_content, validate)``: a skill of one's own each time."""
        expect_parameters(original, "skill_md_path", "include_content", "validate")
        space = without_ours(original).__globals__
        reliance = Reliance(space, PARSES_BY, self._parsing, switch)

        def skill_from_markdown(call: Any, /, skill_md_path: Any, **kwargs: Any) -> Any:
            witness = key = None
            if isinstance(skill_md_path, PurePath) and reliance.holds():
                with guarded(SEAM):
                    key = (skill_md_path, *sorted(kwargs.items()))
                    if (kept := self.parsed.find(key)) is not None:
                        self._lookups.count(hit=True)
                        return _own(kept, skill_md_path)
                    witness = _file(skill_md_path)
            skill = call(skill_md_path, **kwargs)
            # What is no skill is read again: the host may have something to say of it.
            if witness is not None:
                with guarded(SEAM):
                    self._lookups.count(hit=False)
                    if type(skill) is space.get("Skill"):
                        self.parsed.keep(key, _own(skill, skill_md_path), witness)
            return skill

        return skill_from_markdown

    def _tree(self, root: PurePath) -> Witness | None:
        """A look at every folder below ``root``; None where a change could not be seen by it."""
        witness = Witness()
        waiting = [str(root)]
        try:
            if not root.is_absolute():
                return None
            while waiting:
                folder = waiting.pop()
                if not self._folders.note(witness, folder) or len(witness.looks) > MOST_FOLDERS:
                    return None
                if not os.path.isdir(folder):
                    continue
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_symlink() and (entry.name == "SKILL.md" or entry.is_dir()):
                            return None
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
        except (OSError, ValueError):
            return None
        return witness


def _file(path: PurePath) -> Witness | None:
    witness = Witness()
    try:
        return witness if path.is_absolute() and witness.note(str(path)) is not None else None
    except (OSError, ValueError):
        return None


def _own(skill: Any, path: PurePath) -> Any:
    """A copy of a skill that shares nothing with it that could be changed."""
    names = getattr(type(skill), "__slots__", ())
    if "skill_md_path" not in names:
        return _deep(skill, path)
    own = object.__new__(type(skill))
    for name in names:
        value = getattr(skill, name)
        kind = type(value)
        if name == "skill_md_path":
            value = path
        elif kind is list and all(type(item) is str for item in value):
            value = list(value)
        elif kind is dict and not value:
            value = {}
        elif kind is not str and not isinstance(value, PurePath):
            return _deep(skill, path)
        setattr(own, name, value)
    return own


def _deep(skill: Any, path: PurePath) -> Any:
    # Parts of a front matter may be shared with each other, and must be in the copy.
    own = copy.deepcopy(skill)
    own.skill_md_path = path
    return own
