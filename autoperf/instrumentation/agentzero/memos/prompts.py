"""Prompt files and skills: what is patched for them, and when somebody else already does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import skills
from autoperf.instrumentation.agentzero.memos.folder_names import unique_names
from autoperf.instrumentation.agentzero.memos.prompt_files import PromptFiles
from autoperf.patching.patch import Switch

Build = Callable[[Any, Switch], Any]


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
