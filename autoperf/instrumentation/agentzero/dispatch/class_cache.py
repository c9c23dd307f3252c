"""Reads the host's own cache of extension classes (v0.9.9 on), to see which points have no extension."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import time
from typing import Any, Final

from autoperf.errors.switch import Together
from autoperf.monitor.frames import held

_LOG_VARIABLE: Final = "EXTENSIONS_LOG"
_NOBODY: Final = ("none", "none")
_OWNERS_KEPT: Final = 256
# What the host's own look-up goes through in the module of its cache.
_GONE_THROUGH: Final = ("get", "determine_cache_key", "_is_enabled")
_OF_AN_ENTRY: Final = ("timestamp", "value")
# In the place of the switches of a cache that has none.
_ALWAYS_ON: Final[dict[str, Any]] = {"_enabled_global": True, "_enabled_areas": {}}


def _environment() -> tuple[Any, Any]:
    # The host reads EXTENSIONS_LOG at every call, so we do; os.environ's own look-up takes 0.7 us of
    # encoding, its table on POSIX 0.05 us.
    table = getattr(os.environ, "_data", None)
    if isinstance(table, dict):
        return table, os.fsencode(_LOG_VARIABLE) if os.name == "posix" else _LOG_VARIABLE
    return os.environ, _LOG_VARIABLE


class ExtensionClasses:
    """The host's cached answer to "which classes has this point for this agent".

    Only what the host has already looked up is known here; where the host clears or trims its cache, the
    answer is gone here too. Reading refreshes the entry's time, as the host's own reading does.
    """

    def __init__(self) -> None:
        self.together = Together()  # the rows that rely on it
        self._bound = False
        self._verified = False
        self._environment, self._log_variable = _environment()
        self._globals: dict[str, Any] = {}
        self._lookup: Any = None
        self._cache: dict[str, Any] = {}
        self._cache_globals: dict[str, Any] = {}
        self._switches: dict[str, Any] = {}
        self._gone_through: tuple[Any, ...] = ()
        self._area = ""

    def bind(self, host_globals: dict[str, Any]) -> None:
        """Read from the module whose globals these are; one that is built differently stays unread."""
        cache = host_globals.get("cache")
        self._globals = host_globals
        self._lookup = host_globals.get("_get_extension_classes")
        self._cache_globals = getattr(cache, "__dict__", {})
        self._gone_through = tuple(map(self._cache_globals.get, _GONE_THROUGH))
        switched = "_is_enabled" in self._cache_globals or _ALWAYS_ON.keys() & self._cache_globals.keys()
        self._switches = self._cache_globals if switched else _ALWAYS_ON
        entries, area = self._cache_globals.get("_cache"), host_globals.get("_CLASSES_CACHE_AREA")
        if isinstance(entries, dict) and isinstance(area, str) and callable(self._lookup):
            self._cache, self._area, self._bound = entries, area, True

    def judge(self) -> None:
        """Let the rows that rely on it stand aside while the cache cannot be read; called once a second."""
        unread = self._unread() if self._globals else None
        if unread is None:
            self.together.act_again()
        else:
            self.together.stand_aside(*unread)

    def _unread(self) -> tuple[str, str] | None:
        """Why only the host can tell of any point: the reason, and what state that is."""
        if self._globals.get("_get_extension_classes") is not self._lookup or not self._its_own():
            return "what looks extension classes up was replaced", "unrecognised"
        area = self._cache.get(self._area) or {}
        entries = list(area.values())[:1] if isinstance(area, dict) else [None]
        if not self._bound or not all(
            held(one, name) is not None for one in entries for name in _OF_AN_ENTRY
        ):
            return "the host keeps extension classes in another way than is known", "unrecognised"
        if self.logs():
            return f"{_LOG_VARIABLE} is set: the host looks at each call", "off"
        if self._readable() is None and self._area in self._cache:
            return "the host's cache of extension classes is off", "off"
        return None

    def bound(self) -> bool:
        """Whether the host's cache can be read here at all."""
        return self._bound

    def logs(self) -> bool:
        """Whether the host is to count its extension calls and print them."""
        return self._log_variable in self._environment

    def of(self, point: str, agent: Any) -> list[type] | None:
        """The classes of ``point`` for ``agent``; None when only the host itself can tell."""
        return self.reader()(point, agent)

    def reader(self) -> Callable[[str, Any], list[type] | None]:
        """`of` in one piece, for what is asked for every chunk, a dozen times; to be made after `bind`."""
        environment, log_variable = self._environment, self._log_variable
        functions, lookup, host = self._globals, self._lookup, self._cache_globals
        switches = self._switches
        cache, area, verify = self._cache, self._area, self._verify
        get, key_of, enabled = self._gone_through or (None, None, None)

        def of(point: str, agent: Any) -> list[type] | None:
            if (
                functions.get("_get_extension_classes") is not lookup
                or not self._bound
                or log_variable in environment
            ):
                return None
            try:
                if (
                    host["_cache"] is not cache
                    or host.get("get") is not get
                    or host.get("determine_cache_key") is not key_of
                    or host.get("_is_enabled") is not enabled
                ):
                    return None
                if not switches["_enabled_global"] or not switches["_enabled_areas"].get(area, True):
                    return None
                if agent:
                    profile, project = agent.config.profile, agent.context.get_data("project")
                    entry = cache[area][profile or "none", project or "none", point]
                else:
                    entry = cache[area]["none", "none", point]
                entry.timestamp = time()
                classes: list[type] = entry.value
            except (AttributeError, TypeError, KeyError):
                return None
            return classes if self._verified else verify(point, agent, classes)

        return of

    def both_empty(self, start: str, end: str, agent: Any) -> bool:
        """Whether the host knows both points, and neither has an extension for ``agent``."""
        area = self._readable()
        if area is None or not self._verified:
            return False
        try:
            owner = _owner(agent)
            first, second = area.get((*owner, start)), area.get((*owner, end))
            if first is None or second is None or first.value or second.value:
                return False
            first.timestamp = second.timestamp = time()
        except (AttributeError, TypeError):
            return False
        return True

    def pair(self, start: str, end: str) -> Callable[[Any], bool]:
        """`both_empty` of two points that are asked for around every call of a function."""
        environment, log_variable = self._environment, self._log_variable
        keys: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {}

        def both_empty(agent: Any) -> bool:
            if (
                not self._verified
                or not self._bound
                or self._globals.get("_get_extension_classes") is not self._lookup
                or log_variable in environment
            ):
                return False
            cache, host, switches = self._cache, self._cache_globals, self._switches
            get, key_of, enabled = self._gone_through
            try:
                if (  # as in `_its_own`, without a call: this is asked twice around every function
                    host["_cache"] is not cache
                    or host.get("get") is not get
                    or host.get("determine_cache_key") is not key_of
                    or host.get("_is_enabled") is not enabled
                    or not switches["_enabled_global"]
                    or not switches["_enabled_areas"].get(self._area, True)
                ):
                    return False
                entries = cache[self._area]
                owner = _NOBODY
                if agent:
                    profile, project = agent.config.profile, agent.context.get_data("project")
                    owner = profile or "none", project or "none"
                both = keys.get(owner)
                if both is None:
                    if len(keys) >= _OWNERS_KEPT:
                        keys.clear()
                    both = keys[owner] = (*owner, start), (*owner, end)
                first, second = entries[both[0]], entries[both[1]]
                if first.value or second.value:
                    return False
                first.timestamp = second.timestamp = time()
            except (AttributeError, TypeError, KeyError):
                return False
            return True

        return both_empty

    def _readable(self) -> dict[Any, Any] | None:
        # A plugin may have put its own look-up there, or switched the cache off: then the host decides.
        if not self._bound or self._globals.get("_get_extension_classes") is not self._lookup:
            return None
        if self._log_variable in self._environment or not self._switches.get("_enabled_global", True):
            return None
        if not self._its_own():
            return None
        if not self._switches.get("_enabled_areas", {}).get(self._area, True):
            return None
        area: dict[Any, Any] | None = self._cache.get(self._area)
        return area

    def _its_own(self) -> bool:
        """Whether the host looks into its cache as it did when this was bound."""
        host = self._cache_globals
        get, key_of, enabled = self._gone_through
        return (
            host.get("_cache") is self._cache
            and host.get("get") is get
            and host.get("determine_cache_key") is key_of
            and host.get("_is_enabled") is enabled
        )

    def _verify(self, point: str, agent: Any, classes: list[type]) -> list[type] | None:
        # Once, before anything is concluded from the cache: the host must give the same answer.
        agrees: bool = self._lookup(point, agent=agent) is classes
        if agrees:
            self._verified = True
            return classes
        self._bound = False
        return None


def _owner(agent: Any) -> tuple[str, str]:
    # The host's own key: profile and project of the agent, see helpers.cache.determine_cache_key.
    if not agent:
        return "none", "none"
    return agent.config.profile or "none", agent.context.get_data("project") or "none"
