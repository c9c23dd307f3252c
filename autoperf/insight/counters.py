"""What the processes behind some traces counted: cache statistics added up, and which recorded a trace."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from autoperf.wording import count, is_number

# The record of a process is begun beside its first span, not before it.
_SLACK_S: Final = 2.0
_LAST_ONLY: Final = ("currsize", "maxsize")


def process_of(
    processes: Sequence[Mapping[str, Any]], pid: int | None, start_ns: int
) -> Mapping[str, Any] | None:
    """The record of the process that recorded a trace which began at ``start_ns``; a pid is used again."""
    begun = [
        row
        for row in processes
        if row.get("pid") == pid
        and isinstance(row.get("started"), (int, float))
        and row["started"] <= start_ns / 1e9 + _SLACK_S
    ]
    return max(begun, key=lambda row: float(row["started"]), default=None)


def observes_only(process: Mapping[str, Any] | None) -> bool:
    """Whether the process ran under ``--observe``: traced, with nothing else switched on."""
    return process is not None and list(process.get("features") or ()) == ["trace"]


def added_up(processes: Iterable[Mapping[str, Any]], table: str) -> dict[str, dict[str, float]]:
    """``"lookups"`` or ``"caches"`` of ``processes``, newest first, as one table: counters by row's name."""
    sums: dict[str, dict[str, float]] = {}
    for process in processes:
        for name, counters in (process.get(table) or {}).items():
            row = sums.setdefault(str(name), {})
            for key, value in counters.items():
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    row[key] = row.get(key, value) if key in _LAST_ONLY else row.get(key, 0) + value
    return sums


def hit_rate(lookups: Mapping[str, float]) -> float | None:
    """The share of hits, 0 to 1, of the lookups of which it is known; None without any."""
    number = lookups.get("hits", 0) + lookups.get("misses", 0)
    return lookups.get("hits", 0) / number if number else None


def of_the_tool(row: Mapping[str, Any]) -> Iterator[str]:
    """What the agent's tool `performance_optimizer` did in the process of ``row``, as one line, or none."""
    told = row.get("optimizer") or {}
    if not told:
        return
    actions = ", ".join(f"{name} {count(number)}" for name, number in (told.get("actions") or {}).items())
    parts = [f"{count(told.get('calls'))} calls{f' ({actions})' if actions else ''}"]
    parts += [f"{count(told['refused'])} refused"] if told.get("refused") else []
    if is_number(told.get("seconds")):
        parts.append(f"{told['seconds']:.1f} s of its own")
    if told.get("monitor") and is_number(told.get("monitor_until")):
        until = time.strftime("%H:%M:%S", time.localtime(told["monitor_until"]))
        parts.append(f"monitor {told['monitor']} by it until {until}")
    options = ", ".join(f"{name} {value}" for name, value in (told.get("options") or {}).items())
    parts += [f"options changed by it: {options}"] if options else []
    yield f"performance_optimizer: {', '.join(parts)}"


def patches(rows: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """How many rows of status are applied, and how many could be: see `PatchSet.counts`."""
    found = list(rows)
    idle = sum(_idle(row) for row in found)
    return sum(row.get("state") == "applied" for row in found), len(found) - idle


def _idle(row: Mapping[str, Any]) -> bool:
    waits, missing = (row.get("state") == state for state in ("waiting", "missing"))
    optional, foreign = (bool(row.get(key)) for key in ("optional", "foreign"))
    return (optional and (waits or missing)) or (foreign and waits)
