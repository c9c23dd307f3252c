"""The host's own caches, by area: cleared by watchdogs and by the UI, trimmed when unused."""

import fnmatch
import threading
import time
from dataclasses import dataclass
from typing import Any

_lock = threading.RLock()
_cache: dict[str, dict[Any, "CacheEntry"]] = {}
_enabled_global: bool = True
_enabled_areas: dict[str, bool] = {}


@dataclass(slots=True)
class CacheEntry:
    value: Any
    timestamp: float


def toggle_global(enabled: bool) -> None:
    global _enabled_global
    _enabled_global = enabled


def toggle_area(area: str, enabled: bool) -> None:
    _enabled_areas[area] = enabled


def has(area: str, key: Any) -> bool:
    return get(area, key, _lock) is not _lock


def add(area: str, key: Any, data: Any) -> None:
    if _is_enabled(area):
        with _lock:
            _cache.setdefault(area, {})[key] = CacheEntry(data, time.time())


def get(area: str, key: Any, default: Any = None) -> Any:
    if not _is_enabled(area):
        return default
    with _lock:
        entry = _cache.get(area, {}).get(key)
        if entry is None:
            return default
        entry.timestamp = time.time()
        return entry.value


def remove(area: str, key: Any) -> None:
    with _lock:
        _cache.get(area, {}).pop(key, None)


def clear(area: str) -> None:
    with _lock:
        for name in _matching(area):
            _cache.pop(name, None)


def clear_all() -> None:
    with _lock:
        _cache.clear()


def trim_cache(area: str, seconds: float = 300) -> None:
    cutoff = time.time() - seconds
    with _lock:
        for name in _matching(area):
            kept = {key: entry for key, entry in _cache.get(name, {}).items() if entry.timestamp >= cutoff}
            if kept:
                _cache[name] = kept
            else:
                _cache.pop(name, None)


def _is_enabled(area: str) -> bool:
    return _enabled_global and _enabled_areas.get(area, True)


def _matching(area: str) -> list[str]:
    if any(char in area for char in "*?["):
        return [name for name in _cache if fnmatch.fnmatch(name, area)]
    return [area]


def determine_cache_key(agent: Any, *additional: Any) -> tuple:
    if agent:
        profile = agent.config.profile or "none"
        return (profile, agent.context.get_data("project") or "none", *additional)
    return ("none", "none", *additional)
