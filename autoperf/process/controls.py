"""What can be done to a running process of ours: drop what is kept, put another value in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from autoperf.process.options import OPTIONS
from autoperf.process.runtime import Runtime

# Options that take another value while the host runs.
CHANGEABLE: Final = (
    "tool_cache_size",
    "tool_cache_ttl",
    "extension_cache_size",
    "extension_cache_ttl",
    "monitor_interval",
)


def clearable(runtime: Runtime) -> dict[str, list[Callable[[], int]]]:
    """What is kept in this process, by name, with what drops it and tells how many entries that were."""
    found = {name: [cache.clear] for name, cache in runtime.caches.items()}
    if runtime.caches:
        found["code"] = [runtime.code.cache.clear]
    for name, clears in runtime.probe.clearing.items():
        found[name] = [*found.get(name, ()), *clears]
    return found


def clear(runtime: Runtime, *names: str) -> dict[str, int]:
    """Drop what is kept under ``names``, or everything; how many entries each had.

    The next uses read again, nothing else changes; statistics stay. Raises ``ValueError``, which tells the
    names there are, for another one.
    """
    known = clearable(runtime)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"nothing is kept under {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: sum(drop() for drop in known[name]) for name in names or known}


def change(runtime: Runtime, option: str, text: str) -> tuple[Any, Any]:
    """Put the value that ``text`` says in force for a `CHANGEABLE` option; the values before and after.

    Raises ``ValueError`` for another option, and for a value that it does not take.
    """
    if option not in CHANGEABLE:
        raise ValueError(f"{option} cannot be changed in a running process")
    row = next(row for row in OPTIONS if row.name == option)
    before, after = getattr(runtime.config, option), row.parse(text)
    config = runtime.config = replace(runtime.config, **{option: after})
    if option == "monitor_interval":
        runtime.monitor.interval = config.monitor_interval
    else:
        runtime.note_change("extensions" if option.startswith("extension") else "tools")
    for name, cache in runtime.caches.items():
        extensions = name == "extensions"
        cache.resize(config.extension_cache_size if extensions else config.tool_cache_size)
        cache.ttl = config.extension_cache_ttl if extensions else config.tool_cache_ttl
    runtime.code.cache.ttl = max(config.tool_cache_ttl, config.extension_cache_ttl)
    return before, after
