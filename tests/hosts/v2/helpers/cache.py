"""The host's own caches, by area: cleared by watchdogs and by the UI, trimmed when unused."""

import fnmatch
import threading
import time
from typing import Any

_lock = threading.RLock()
_cache: dict[str, dict[Any, list]] = {}
_enabled_areas: dict[str, bool] = {}


def toggle_area(area: str, enabled: bool) -> None:
    _enabled_areas[area] = enabled


def has(area: str, key: Any) -> bool:
    return get(area, key, _lock) is not _lock


def add(area: str, key: Any, data: Any) -> None:
    if _enabled_areas.get(area, True):
        with _lock:
            _cache.setdefault(area, {})[key] = [data, time.time()]


def get(area: str, key: Any, default: Any = None) -> Any:
    if not _enabled_areas.get(area, True):
        return default
    with _lock:
        entry = _cache.get(area, {}).get(key)
        if entry is None:
            return default
        entry[1] = time.time()
        return entry[0]


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
            kept = {key: entry for key, entry in _cache.get(name, {}).items() if entry[1] >= cutoff}
            if kept:
                _cache[name] = kept
            else:
                _cache.pop(name, None)


def _matching(area: str) -> list[str]:
    if any(char in area for char in "*?["):
        return [name for name in _cache if fnmatch.fnmatch(name, area)]
    return [area]


def determine_cache_key(agent: Any, *additional: Any) -> tuple:
    if agent:
        profile = agent.config.profile or "none"
        return (profile, agent.context.get_data("project") or "none", *additional)
    return ("none", "none", *additional)
