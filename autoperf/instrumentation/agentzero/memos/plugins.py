"""Where the file of a plugin lies, and which plugins are enabled (v0.9.9 on)."""

from __future__ import annotations

import glob
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from time import time
from typing import Any, Final, NamedTuple

from autoperf.errors import AutoperfError, asked
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest

SEAM: Final = "plugin files"
# find_plugin_assets by source; they differ in what they do for projects only.
KNOWN: Final = {
    "e124df8f7da8c223cb71a2baf3b45b16278364700b558159d5f9eb1039a04715",  # v0.9.9 - v1.10
    "fb454e2b752946fb24273ff877339ebc331fb96927b4810352c2421708007b2e",  # v1.12 - v2.6
}
_FILES_KEPT: Final = 1_000
# Files in a row that were found elsewhere than worked out.
_UNFIT: Final = 20
_OPTIONS: Final = frozenset({"plugin_name", "project_name", "agent_profile", "only_first"})
_ELSEWHERE: Final = "another answer than its files give"
_PATTERN: Final = "a path that is a pattern"

Find = Callable[..., list[dict[str, str]]]


class Question(NamedTuple):
    """Where is one file of one plugin? ``bases`` are the enabled plugins, where the host asks for them."""

    plugin: str
    profile: str
    subpaths: tuple[str, ...]
    bases: tuple[str, ...]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Find, Switch], Find]]]:
    """``asset``: ``find_plugin_assets(*subpaths, plugin_name, project_name, agent_profile, only_first)``."""
    if "asset" in targets:
        yield targets["asset"], first_asset(probe.new_memo(SEAM, _FILES_KEPT))


def first_asset(memo: Memo[list[dict[str, str]]]) -> Callable[[Find, Switch], Find]:
    """Memoises ``find_plugin_assets`` for one file of one plugin, without a project and without wildcards.

    That is what the configuration of a plugin is looked for with, in some forty places at each call.
    """

    def build(original: Any, switch: Switch) -> Find:
        host: Any = inspect.unwrap(original)
        if digest(host) not in KNOWN:
            raise AutoperfError("another way of looking for a plugin's files than the ones that are known")
        files = _Files(host.__globals__, switch)
        return memo.wrapper(SEAM, key=files.key, inputs=files.inputs, freeze=files.freeze, thaw=_copy)

    return build


def _copy(found: list[dict[str, str]], _question: Question) -> list[dict[str, str]]:
    return [dict(one) for one in found]


class _Files:
    """Where the host's function looks; ``names`` are those of its module."""

    def __init__(self, names: dict[str, Any], switch: Switch) -> None:
        self._names = names
        self._switch = switch
        self._elsewhere = 0
        self._package = names["__name__"].rpartition(".")[0]

    def key(self, *subpaths: Any, **options: Any) -> Question | None:
        """The question, where it is for one file of a plugin; None for any other."""
        if options.keys() != _OPTIONS or options["only_first"] is not True or options["project_name"] != "":
            return None
        plugin, profile = options["plugin_name"], options["agent_profile"]
        if any(type(part) is not str for part in (plugin, profile, *subpaths)):
            return None
        question = Question(plugin, profile, subpaths, ())
        if profile:
            own = asked(lambda: self._own(question))
            if own is None:
                return None
            if not os.path.exists(own):  # else the host asks for no plugins
                bases = asked(lambda: self._names["get_enabled_plugin_paths"](None))
                return None if bases is None else question._replace(bases=tuple(bases))
        return question

    def inputs(self, noted: Inputs, question: Question) -> None:
        """Every place up to the first that exists."""
        paths = self._paths(question)
        if any(map(glob.has_magic, paths)):
            raise UnkeptError(_PATTERN)
        for path in paths:
            if noted.exists(path):
                return

    def freeze(self, found: list[dict[str, str]], question: Question) -> list[dict[str, str]]:
        """A copy; refused where it was found by a path that was not looked at."""
        if [one["path"] for one in found] != list(filter(os.path.exists, self._paths(question)))[:1]:
            self._elsewhere += 1
            if self._elsewhere == _UNFIT:
                self._switch.stand_aside("the host finds files of plugins in other places than are known")
            raise UnkeptError(_ELSEWHERE)
        self._elsewhere = 0
        self._switch.act_again()
        return _copy(found, question)

    def _own(self, question: Question) -> str | None:
        subagents = sys.modules.get(f"{self._package}.subagents")
        if subagents is None:
            return None
        path: str = self._at(subagents.USER_AGENTS_DIR, question.profile, question)
        return path

    def _at(self, *parts: Any) -> Any:
        files = self._names["files"]
        *above, question = parts
        return files.get_abs_path(*above, files.PLUGINS_DIR, question.plugin, *question.subpaths)

    def _paths(self, question: Question) -> list[str]:
        """In the host's order."""
        files, profile = self._names["files"], question.profile
        general = [self._at(files.USER_DIR, question), self._at(question)]
        if not profile:
            return general
        subagents = sys.modules[f"{self._package}.subagents"]
        plugins = [self._at(base, files.AGENTS_DIR, profile, question) for base in question.bases]
        bundled = self._at(subagents.DEFAULT_AGENTS_DIR, profile, question)
        return [self._at(subagents.USER_AGENTS_DIR, profile, question), *plugins, bundled, *general]


_PATHS_AREA: Final = "PATHS_CACHE_AREA"
_ENABLED_PATHS_AREA: Final = "ENABLED_PLUGINS_PATHS_CACHE_AREA"
_ENABLED_AREA: Final = "ENABLED_PLUGINS_LIST_CACHE_AREA"
_LISTS: Final = (_ENABLED_PATHS_AREA, _ENABLED_AREA)


class Consulted:
    """Entries of the host's cache that an answer came from, and what was in them."""

    __slots__ = ("_areas", "_entries", "_host", "_off")

    def __init__(self, host: dict[str, Any], off: str, entries: list[tuple[str, Any, list[str]]]) -> None:
        self._host = host
        self._off = off
        self._entries = entries

    def hold(self) -> bool:
        """Whether the host would find the same there; what it would touch is touched."""
        host = self._host
        enabled, cache = host["_enabled_areas"], host["_cache"]
        if not host["_enabled_global"] or enabled.get(self._off, True):
            return False
        now = time()
        for area, key, value in self._entries:
            entries = cache.get(area)
            entry = None if entries is None else entries.get(key)
            if entry is None or entry.value != value or not enabled.get(area, True):
                return False
            entry.timestamp = now
        return True


class PluginLists:
    """Reads ``helpers.cache`` as ``plugins.get_enabled_plugin_paths`` and its kin do."""

    def __init__(self, paths_module: dict[str, Any]) -> None:
        self._module = paths_module

    def consulted(self, agent: Any, *, plugins: bool) -> Consulted | None:
        """What an answer that the host has just given was read from; None if that was not kept."""
        module, host = self._module, vars(self._module["cache"])
        off = module[_PATHS_AREA]
        found = Consulted(host, off, list(self._entries(agent)) if plugins else [])
        return found if found.hold() else None

    def unread(self) -> tuple[str, str]:
        """Why no answer can be kept here: the reason, and what state that is."""
        host = vars(self._module["cache"])
        areas = (self._module[_PATHS_AREA], *map(vars(self._module["plugins"]).get, _LISTS))
        off, *lists = (host["_enabled_areas"].get(area, True) for area in areas)
        if not host["_enabled_global"] or not all(lists):
            return "the host's cache of its plugins is off", "off"
        if off:
            return "the host keeps them itself", "off"
        return "the host keeps its lists of plugins in another way than is known", "unrecognised"

    def _entries(self, agent: Any) -> Any:
        names, cache = vars(self._module["plugins"]), vars(self._module["cache"])["_cache"]
        owner = ("none", "none")
        profile = ""
        if agent:
            profile = agent.config.profile or ""
            owner = (profile or "none", agent.context.get_data("project") or "none")
        lists, paths = names[_ENABLED_AREA], names[_ENABLED_PATHS_AREA]
        wanted: list[tuple[str, tuple[str, ...], bool]] = [(paths, owner, True)]
        if profile:
            # An empty answer is none to the host: it asks for the plugins, and the disk, every time.
            of_profile = (*owner, "agents", profile)
            kept = _value(cache, paths, of_profile)
            wanted.append((paths, of_profile, False))
            if not kept:
                wanted.append((lists, owner, True))
        for area, key, must in wanted:
            value = _value(cache, area, key)
            yield area, key, list(value) if value or not must else [_NEVER]


_NEVER: Final = "\0"


def _value(cache: dict[str, Any], area: str, key: Any) -> list[str]:
    entry = cache.get(area, {}).get(key)
    return [_NEVER] if entry is None else entry.value
