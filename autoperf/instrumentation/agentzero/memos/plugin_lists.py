"""The host's cached lists of plugins (v0.9.9 on), as far as an agent's paths depend on them."""

from __future__ import annotations

from time import time
from typing import Any, Final

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
