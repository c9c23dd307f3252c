"""Prompt files and skills: what is patched for them, and when somebody else already does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autoperf.agentzero.foldernames import FolderNames
from autoperf.agentzero.probe import Probe
from autoperf.agentzero.promptfiles import PromptFiles
from autoperf.agentzero.skillfiles import SkillFiles
from autoperf.errors import AutoperfError
from autoperf.folders import Folders
from autoperf.patching import Switch

Build = Callable[[Any, Switch], Any]

PLUGIN: Final = "runtime_cache"
_OFF: Final = ".toggle-0"


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """One row for each of our places that the layout has."""
    folders = Folders()
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
            yield targets[name], _unless_done(Path(probe.root), build)
    probe.after_fork += [files.templates.forked, names.kept.forked, skills.found.forked, skills.parsed.forked]


def _unless_done(root: Path, build: Build) -> Build:
    def unless_done(original: Any, switch: Switch) -> Any:
        if plugin := caching_plugin(root):
            raise AutoperfError(f"the plugin {plugin} does this")
        return build(original, switch)

    return unless_done


def caching_plugin(root: Path) -> str:
    """The name of an installed plugin that keeps prompts and skills itself; empty when there is none."""
    for parent in (root / "usr" / "plugins", root / "plugins"):
        try:
            names = os.listdir(parent)
        except OSError:
            continue
        for name in names:
            if name.strip("_") == PLUGIN and not (parent / name / _OFF).exists():
                return name
    return ""
