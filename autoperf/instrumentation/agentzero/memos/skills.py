"""Skill folders are searched, and their files parsed, anew only when one of them has changed."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, Final

from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import Reliance, without_ours
from autoperf.patching.sources import expect_parameters

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


# What is no skill is read again: the host may have something to say of it.
_NO_SKILL: Final = "no skill"
_ABSENT: Final = "no such file"

Build = Callable[[Any, Switch], Callable[..., Any]]


def discovery(memo: Memo[list[Path]], known: frozenset[str] = DISCOVERY) -> Build:
    """Memoises ``discover_skill_md_files(root)``."""

    def build(original: Any, switch: Switch) -> Callable[..., Any]:
        expect_parameters(original, "root")
        reliance = Reliance(without_ours(original).__globals__, DISCOVERS_BY, known, switch)

        def key(root: Any) -> PurePath | None:
            return root if isinstance(root, PurePath) and root.is_absolute() and reliance.holds() else None

        def inputs(noted: Inputs, root: PurePath) -> None:
            noted.tree(str(root), MOST_FOLDERS, _matters)

        return memo.wrapper(SEAM, key=key, inputs=inputs, freeze=lambda found, _: list(found))

    return build


def parsing(memo: Memo[Any], known: frozenset[str] = PARSING) -> Build:
    """Memoises ``skill_from_markdown(path, *, include_content, validate)``: each caller gets a copy."""

    def build(original: Any, switch: Switch) -> Callable[..., Any]:
        expect_parameters(original, "skill_md_path", "include_content", "validate")
        space = without_ours(original).__globals__
        reliance = Reliance(space, PARSES_BY, known, switch)

        def key(skill_md_path: Any, **kwargs: Any) -> tuple[Any, ...] | None:
            known = isinstance(skill_md_path, PurePath) and skill_md_path.is_absolute() and reliance.holds()
            return (skill_md_path, *sorted(kwargs.items())) if known else None

        def inputs(noted: Inputs, key: tuple[Any, ...]) -> None:
            if noted.file(str(key[0])) is None:
                raise UnkeptError(_ABSENT)

        def freeze(skill: Any, key: tuple[Any, ...]) -> Any:
            if type(skill) is not space.get("Skill"):
                raise UnkeptError(_NO_SKILL)
            return _own(skill, key[0])

        return memo.wrapper(
            SEAM,
            key=key,
            inputs=inputs,
            freeze=freeze,
            thaw=lambda skill, key: _own(skill, key[0]),
        )

    return build


def _matters(link: os.DirEntry[str]) -> bool:
    return link.name == "SKILL.md" or link.is_dir()


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
