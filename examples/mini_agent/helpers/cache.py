"""One process-wide cache, split into named areas that can be cleared apart."""

from __future__ import annotations

import fnmatch
import threading
import time
from dataclasses import dataclass
from typing import Any

_lock = threading.RLock()
_cache: dict[str, dict[Any, CacheEntry]] = {}


@dataclass
class CacheEntry:
    """What is kept, and when it was last asked for (Unix time, seconds)."""

    value: Any
    timestamp: float


def add(area: str, key: Any, data: Any) -> None:
    """Store `data` under `key`, replacing what was there."""
    with _lock:
        _cache.setdefault(area, {})[key] = CacheEntry(data, time.time())


def get(area: str, key: Any, default: Any = None) -> Any:
    """Return what was stored under `key`, or `default`."""
    with _lock:
        entry = _cache.get(area, {}).get(key)
        if entry is None:
            return default
        entry.timestamp = time.time()
        return entry.value


def clear(area: str) -> None:
    """Forget every area whose name matches `area`, a shell-style pattern."""
    with _lock:
        # fnmatch would read an area's own "[...]" as a character class, so an exact name wins.
        if _cache.pop(area, None) is None:
            for name in fnmatch.filter(list(_cache), area):
                del _cache[name]


def clear_all() -> None:
    """Forget everything."""
    with _lock:
        _cache.clear()


def determine_cache_key(agent: Any, *additional: Any) -> tuple[Any, ...]:
    """Return a key that differs between profiles and projects, because both change which files are found."""
    if agent is None:
        return ("none", "none", *additional)
    return (agent.config.profile or "none", agent.context.get_data("project") or "none", *additional)
