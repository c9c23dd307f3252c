"""Advice on autoperf's own caches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from autoperf.insight.facts import Facts, Recommendation
from autoperf.insight.facts.caches import caches

_ENOUGH: Final = 200
_POOR: Final = 0.6
_SIZE: Final = {"tools": "tool_cache_size", "extensions": "extension_cache_size"}
# Of what was counted before a change nothing follows for the new value.
_COUNTERS: Final = ("evictions", "expirations", "invalidations", "seconds_loading")
_AGE: Final = {"tools": "tool_cache_ttl", "extensions": "extension_cache_ttl"}


def rates(facts: Facts) -> Iterator[Recommendation]:
    """A cache that seldom finds: for want of room, for want of time, or because files change."""
    for name, size_option in _SIZE.items():
        hits, total, cache = _counted(facts, name)
        if hits is None or total < _ENOUGH or hits / total >= _POOR or not cache:
            continue
        evidence = f"{hits / total:.0%} of {total:,} look-ups of {name} were hits"
        if cache["evictions"] > max(cache["expirations"], cache["invalidations"]):
            yield _larger(facts, name, size_option, cache, evidence)
        elif cache["expirations"] > cache["invalidations"]:
            yield _older(name, cache, evidence)


def _counted(facts: Facts, name: str) -> tuple[float | None, float, dict[str, Any]]:
    """Hits, look-ups and the cache's own counts since its size or age was last changed in that process."""
    known = caches(facts.process).get(name)
    if known is None or not known.stores:
        return None, 0, {}
    cache = known.as_row()
    before = (facts.process.get("changed") or {}).get(name) or {}
    for counter in _COUNTERS:
        cache[counter] = (cache[counter] or 0) - (before.get(counter) or 0)
    total = (known.lookups or 0) - (before.get("lookups") or 0)
    return None if known.hits is None else known.hits - (before.get("hits") or 0), total, cache


def _larger(facts: Facts, name: str, option: str, cache: Any, evidence: str) -> Recommendation:
    size = 2 * int(facts.options.get(option) or cache["maxsize"])
    variable = f"AUTOPERF_{option.upper()}"
    return Recommendation(
        "cache too small",
        "medium",
        f"The cache of {name} is too small",
        f"{evidence}; {cache['evictions']:,} entries were dropped for want of room ({cache['maxsize']})",
        f"up to {_spared(cache)} of loading in the same time",
        f"{variable}={size}",
        (option, str(size)),
    )


def _older(name: str, cache: Any, evidence: str) -> Recommendation:
    option, ttl = _AGE[name], 4 * float(cache["ttl"])
    return Recommendation(
        "cache expires too soon",
        "low",
        f"Entries in the cache of {name} are used again after they have expired",
        f"{evidence}; {cache['expirations']:,} were dropped for age ({cache['ttl']:.0f} s)",
        f"up to {_spared(cache)} of loading in the same time",
        f"AUTOPERF_{option.upper()}={ttl:.0f} (files are checked at every use all the same)",
        (option, f"{ttl:.0f}"),
    )


def _spared(cache: Any) -> str:
    return f"{cache['seconds_loading']:.2f} s"


def sizes(facts: Facts) -> Iterator[Recommendation]:
    """A cache that was made larger than ever needed."""
    for name, option in _SIZE.items():
        cache = caches(facts.process).get(name)
        if cache is None or (cache.lookups or 0) < 5 * _ENOUGH or not cache.currsize or not cache.maxsize:
            continue
        enough = max(50, 2 * cache.currsize)
        if cache.maxsize >= 8 * cache.currsize and cache.maxsize > 4 * enough:
            yield Recommendation(
                "cache too large",
                "low",
                f"The cache of {name} has far more room than was ever used",
                f"{cache.currsize} of {cache.maxsize:,} entries are used",
                "a bound on memory that means something",
                f"AUTOPERF_{option.upper()}={enough}",
                (option, str(enough)),
            )
