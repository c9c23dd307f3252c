"""Prompt files, the names in their folders, and skills: what is patched for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any, Final

from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import skills
from autoperf.instrumentation.agentzero.memos.prompt_files import PromptFiles
from autoperf.memo.inputs import LINKED, Inputs, UnkeptError
from autoperf.memo.memo import Memo
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

_PATTERN: Final = "a folder that is a pattern"

Build = Callable[[Any, Switch], Any]
Names = Callable[..., list[str]]
Key = tuple[tuple[str, ...], str, Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """One row for each of our places that the layout has."""
    files = PromptFiles(probe.watch, probe.memo("prompts"))
    probe.clears("prompts", files.templates.clear)
    probe.after_fork.append(files.templates.forked)
    builds: dict[str, Build] = {
        "read": files.reads,
        "parse": files.parses,
        "find": files.finds,
        "variables": files.asks,
        "names": unique_names(probe.new_memo("prompt folders")),
        "discover_skills": skills.discovery(probe.new_memo("skill folders")),
        "parse_skill": skills.parsing(probe.new_memo("skills")),
    }
    for name, build in builds.items():
        if name in targets:
            yield targets[name], unless_cached(probe.root, build)


def unique_names(memo: Memo[list[str]], known: frozenset[str] = KNOWN) -> Callable[[Names, Switch], Names]:
    """Memoises ``get_unique_filenames_in_dirs(dir_paths, pattern, type)``; unknown code is refused."""

    def build(original: Names, switch: Switch) -> Names:
        space = without_ours(original).__globals__
        reliance = Reliance(space, RELIES_ON, known, switch)

        def key(*args: Any, **kwargs: Any) -> Key | None:
            return _key(args, kwargs) if reliance.holds() else None

        def inputs(noted: Inputs, key: Key) -> None:
            dirs, pattern, _ = key
            for folder in map(space["get_abs_path"], dirs):
                if any(c in "*?[" for c in folder):
                    raise UnkeptError(_PATTERN)
                # What a link leads to can change without the folder.
                if noted.names(folder) is not None and _has_links(folder, pattern):
                    raise UnkeptError(LINKED)

        return memo.wrapper(SEAM, key=key, inputs=inputs, freeze=lambda names, _: list(names))

    return build


def _has_links(folder: str, pattern: str) -> bool:
    if not os.path.isdir(folder):
        return False
    with os.scandir(folder) as entries:
        return any(entry.is_symlink() and fnmatch(entry.name, pattern) for entry in entries)


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key | None:
    named = dict(zip(("dir_paths", "pattern", "type"), args, strict=False)) | kwargs
    dirs, pattern, kind = named.pop("dir_paths", None), named.pop("pattern", "*"), named.pop("type", None)
    if named or len(args) > 3 or type(dirs) is not list or not all(type(d) is str for d in dirs):
        return None
    if type(pattern) is not str or "/" in pattern or os.sep in pattern or type(kind) not in (str, type(None)):
        return None
    return tuple(dirs), pattern, kind
