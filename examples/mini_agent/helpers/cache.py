"""One process-wide cache, split into named areas that can be cleared apart."""
import fnmatch
import threading
from typing import Any

_lock = threading.RLock()
_areas: dict[str, dict[Any, Any]] = {}


def add(area: str, key: Any, data: Any) -> None:
    """Store `data` under `key`, replacing what was there."""
    with _lock:
        _areas.setdefault(area, {})[key] = data


def get(area: str, key: Any, default: Any = None) -> Any:
    """Return what was stored under `key`, or `default`."""
    with _lock:
        return _areas.get(area, {}).get(key, default)


def clear(area: str) -> None:
    """Forget every area whose name matches `area`, a shell-style pattern."""
    with _lock:
        # fnmatch would read an area's own "[...]" as a character class, so an exact name wins.
        if _areas.pop(area, None) is None:
            for name in fnmatch.filter(list(_areas), area):
                del _areas[name]


def clear_all() -> None:
    """Forget everything."""
    with _lock:
        _areas.clear()


def determine_cache_key(agent: Any, *additional: Any) -> tuple[Any, ...]:
    """Return a key that differs between profiles and projects, because both change which files are found."""
    if agent is None:
        return ("none", "none", *additional)
    return (agent.config.profile or "none", agent.context.get_data("project") or "none", *additional)
