"""Where an agent's files lie: the host's answer, kept for as long as nothing it looked at has changed."""

from __future__ import annotations

import copy
import glob
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import MISS, Shortcut, inside
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos.plugins import PluginLists
from autoperf.memo.counters import Lookups
from autoperf.memo.inotify import FolderWatch
from autoperf.patching.patch import Switch, Together
from autoperf.patching.sources import asks_only, expect_parameters

_ANSWERS_KEPT: Final = 1000
# Answers in a row whose lists of plugins were not where they are read: one may just have been cleared.
_UNKEPT: Final = 20
_FLAGS: Final = ("include_project", "include_user", "include_default")
# All that the host's code asks for on the way to its answer. Code that asks for anything else is not known.
_ASKED: Final = frozenset(
    {"DEFAULT_AGENTS_DIR", "USER_AGENTS_DIR", "USER_DIR", "PLUGINS_DIR", "META_FILE_NAME"}
    | {"PROJECT_META_DIR", "PROJECTS_PARENT_DIR", "PATHS_CACHE_AREA"}
    | {"ENABLED_PLUGINS_PATHS_CACHE_AREA", "CONTEXT_DATA_KEY_PROJECT", "append", "extend", "sort"}
    | {"len", "join", "isabs", "dirname", "abspath", "__file__", "_base_dir", "add", "cache", "get"}
    | {"determine_cache_key", "config", "context", "profile", "get_data", "str", "list", "exists"}
    | {"files", "os", "path", "glob", "helpers", "python.helpers", "_resolve_path", "get_base_dir"}
    | {"get_abs_path", "find_existing_paths_by_pattern", "projects", "get_context_project_name"}
    | {"get_project_meta", "get_project_meta_folder", "get_project_folder"}
    | {"get_projects_parent_folder", "plugins", "get_enabled_plugin_paths", "get_enabled_plugins"}
    | {"find_plugin_dir"}
)
_CONSULTED: Final = {
    "files": ("exists", "find_existing_paths_by_pattern", "get_abs_path", "_resolve_path", "get_base_dir"),
    "projects": (
        *("get_context_project_name", "get_project_meta", "get_project_meta_folder", "get_project_folder"),
        "get_projects_parent_folder",
    ),
    "plugins": ("get_enabled_plugin_paths", "find_plugin_dir"),
}

Paths = Callable[..., list[str]]
Asked = dict[tuple[bool, str], bool]


class _Asking(threading.local):
    """What of the disk this thread's host code has asked about, while somebody wants to know."""

    asked: Asked | None = None


class _Answer:
    __slots__ = ("asked", "generation", "lists", "paths")

    def __init__(self, found: list[str], asked: Asked, lists: Any, generation: int) -> None:
        self.paths = tuple(found)
        self.asked = asked
        self.lists = lists
        self.generation = generation  # of the watch; -1 where the disk has to be asked every time

    def still_true(self) -> bool:
        """Whether the disk would give the same answers again."""
        return all(
            (os.path.lexists if by_name else os.path.exists)(path) is found
            for (by_name, path), found in self.asked.items()
        )


class PathAnswers:
    """The answers of ``get_paths`` in one process; ``known`` gives one that the host would give again."""

    def __init__(self, probe: Probe) -> None:
        self._asking = _Asking()
        self._watch = FolderWatch(probe.inotify)
        self._answers: OrderedDict[Any, _Answer] = OrderedDict()
        self._lock = threading.RLock()
        self._memo = probe.memo("paths")
        self._functions: list[tuple[dict[str, Any], str, Any]] | None = None
        self._module: dict[str, Any] = {}
        self._lists: PluginLists | None = None
        self._noting: list[Any] = []
        self._together = Together("exists", "find_existing_paths_by_pattern")
        self._switch = Switch()  # of get_paths, which keeps the answers
        self._unkept = 0
        probe.clears("paths", self._clear)
        probe.after_fork.append(self._forked)
        probe.at_stop.append(self._watch.close)

    def asking_exists(self, original: Callable[..., bool], switch: Switch) -> Callable[..., Any]:
        """For ``files.exists(*relative_paths)``: notes what is asked while an answer is worked out."""
        asking, resolve = self._asking, original.__globals__["get_abs_path"]
        if not asks_only(original, _ASKED):
            raise AutoperfError("it asks for more than is known")

        def exists(call: Any, *relative_paths: Any) -> Any:
            found = call(*relative_paths)
            if asking.asked is not None:
                asking.asked[False, resolve(*relative_paths)] = found
            return found

        self._noting.append(exists)
        self._together.joins("exists", switch)
        return exists

    def asking_pattern(self, original: Paths, switch: Switch) -> Callable[..., Any]:
        """For ``files.find_existing_paths_by_pattern(pattern)``, the same."""
        asking, resolve = self._asking, original.__globals__["get_abs_path"]

        def find_existing_paths_by_pattern(call: Any, pattern: Any) -> Any:
            found = call(pattern)
            if asking.asked is not None and pattern:
                path = resolve(pattern)
                # A real pattern may depend on any name in a folder: such an answer is never kept.
                asking.asked[True, "" if glob.has_magic(path) else path] = bool(found)
            return found

        self._noting.append(find_existing_paths_by_pattern)
        self._together.joins("find_existing_paths_by_pattern", switch)
        return find_existing_paths_by_pattern

    def get_paths(self, original: Paths, switch: Switch) -> Shortcut:
        """For ``get_paths(agent, *subpaths, ...)`` (v0.9.8 on), asked at every tool and extension call."""
        self._switch = switch
        self._together.joins("get_paths", switch)
        if "include_plugins" in (original.__kwdefaults__ or {}):
            flags: tuple[str, ...] = (*_FLAGS, "include_plugins")
            self._lists = PluginLists(original.__globals__)
        else:
            flags = _FLAGS
        expect_parameters(original, "agent", "subpaths", "must_exist_completely", *flags, "default_root")
        self._module = original.__globals__
        known, keep, asking = self.known, self._keep, self._asking

        def get_paths(agent: Any, *subpaths: Any, **options: Any) -> Any:
            found = known(agent, subpaths, options) if asking.asked is None else None
            return MISS if found is None else list(found)

        def get_and_keep(call: Any, /, agent: Any, *subpaths: Any, **options: Any) -> Any:
            if asking.asked is not None:
                return call(agent, *subpaths, **options)
            return keep(call, agent, subpaths, options)

        return Shortcut(get_paths, get_and_keep)

    def known(
        self, agent: Any, subpaths: tuple[Any, ...], options: Mapping[str, Any]
    ) -> tuple[str, ...] | None:
        """What ``get_paths`` would answer, if that is certain; None where only the host can tell."""
        key = _key(agent, subpaths, options)
        answer = self._answers.get(key)
        if answer is None or (answer.lists is not None and not answer.lists.hold()):
            return None
        if answer.generation < 0:
            if not answer.still_true():
                return None
        elif answer.generation != self._watch.generation():
            return None
        for names, name, function in self._functions or ():
            if names.get(name) is not function:
                self._switch.stand_aside(f"{name}, which it relies on, was replaced")
                return None
        if self._switch.aside is not None:
            self._switch.act_again()
        self._memo.hits += 1
        return answer.paths

    def _keep(self, call: Any, agent: Any, subpaths: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self._memo.misses += 1
        asking = self._asking
        asked: Asked = {}
        asking.asked, before = asked, self._together.state()
        try:
            found = call(agent, *subpaths, **options)
        finally:
            asking.asked = None
        if before is not None and self._together.state() == before:
            self._remember(agent, subpaths, options, list(found), asked)
        return found

    def _remember(self, agent: Any, subpaths: Any, options: Any, found: Any, asked: Asked) -> None:
        if self._functions is None:
            self._functions = self._known_functions()
            if not self._functions:
                self._switch.stand_aside("it, or what it calls, asks for more than is known")
        if not self._functions or (True, "") in asked:
            return
        lists = None
        if self._lists is not None:
            lists = self._lists.consulted(agent, plugins=options.get("include_plugins", True))
            if lists is None:
                self._unkept += 1
                if self._unkept == _UNKEPT:
                    self._switch.stand_aside(*self._lists.unread())
                return
            if self._unkept >= _UNKEPT:
                self._switch.act_again()
            self._unkept = 0
        key = _key(agent, subpaths, options)
        answer = _Answer(found, asked, lists, -1)
        if self._watch.watch([path for _, path in asked]):
            # A change between the host's look and ours: what it saw must still be so, now that we watch.
            answer.generation = self._watch.generation()
            if not answer.still_true() or answer.generation != self._watch.generation():
                return
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > _ANSWERS_KEPT:
                self._answers.popitem(last=False)

    def _known_functions(self) -> list[tuple[dict[str, Any], str, Any]]:
        """The host's functions that make the answer, and where; empty where one is not as we know it."""
        package = str(self._module["__name__"]).rpartition(".")[0]
        rows: list[tuple[dict[str, Any], str, Any]] = [(self._module, "get_paths", self._module["get_paths"])]
        for module, names in _CONSULTED.items():
            space = vars(sys.modules.get(f"{package}.{module}", sys))
            rows += [(space, name, space[name]) for name in names if name in space]
        # Whatever stands in front of ours may answer without asking, and then nothing would be noted.
        noted = {name: f for _, name, f in rows if name in ("exists", "find_existing_paths_by_pattern")}
        sure = all((inside(noted[f.__name__]) or [None])[0] is f for f in self._noting) and len(noted) == len(
            self._noting
        )
        return rows if sure and all(asks_only(function, _ASKED) for _, _, function in rows) else []

    def uncounted(self) -> PathAnswers:
        """The same answers, to be asked without that it counts."""
        view = copy.copy(self)
        view._memo = Lookups()
        return view

    def _clear(self) -> int:
        with self._lock:
            count = len(self._answers)
            self._answers.clear()
            return count

    def _forked(self) -> None:
        self._lock = threading.RLock()
        self._answers.clear()
        self._watch.forked()


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Any]]:
    """The rows of the feature ``paths``, for hosts that have a ``get_paths``."""
    if "get_paths" not in targets:
        return
    answers = probe.path_answers = PathAnswers(probe)
    yield targets["exists"], answers.asking_exists
    yield targets["by_pattern"], answers.asking_pattern
    yield targets["get_paths"], answers.get_paths


def _key(agent: Any, subpaths: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if not agent:
        return None, subpaths, *options.items()
    return agent.config.profile, agent.context.get_data("project"), subpaths, *options.items()
