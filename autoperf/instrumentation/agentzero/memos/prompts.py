"""Prompt files and skills: what is patched for them, and when somebody else already does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos.folder_names import FolderNames
from autoperf.instrumentation.agentzero.memos.prompt_files import PromptFiles
from autoperf.instrumentation.agentzero.memos.skills import SkillFiles
from autoperf.memo.filesystems import Folders
from autoperf.patching.patch import Switch

Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """One row for each of our places that the layout has."""
    folders = Folders(probe.vigil)
    files = PromptFiles(folders, probe.memo("prompts"))
    names = FolderNames(folders, probe.memo("prompt folders"))
    skills = SkillFiles(folders, probe.memo("skills"))
    builds: dict[str, Build] = {
        "read": files.reads,
        "parse": files.parses,
        "find": files.finds,
        "variables": files.asks,
        "names": names.unique,
        "discover_skills": skills.discovers,
        "parse_skill": skills.parses,
    }
    for name, build in builds.items():
        if name in targets:
            yield targets[name], unless_cached(probe.root, build)
    for name, kept in (
        ("prompts", files.templates),
        ("prompt folders", names.kept),
        ("skills", skills.found),
        ("skills", skills.parsed),
    ):
        probe.clears(name, kept.clear)
    probe.at_stop.append(folders.vigil.close)
    probe.after_fork += [
        folders.vigil.forked,
        files.templates.forked,
        names.kept.forked,
        skills.found.forked,
        skills.parsed.forked,
    ]
