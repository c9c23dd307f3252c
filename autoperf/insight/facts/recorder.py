"""Which process recorded what."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from autoperf.errors.wording import is_number

# The record of a process is begun beside its first span, not before it.
_SLACK_S: Final = 2.0
Record = Mapping[str, Any]


def recorder(processes: Iterable[Record]) -> Callable[[Any, float], Record | None]:
    """Which of ``processes`` a pid was at a moment (s since the epoch): a pid is used again.

    It is the last that had begun by then; None where none had.
    """
    by_pid: dict[Any, list[tuple[float, int, Record]]] = {}
    for number, row in enumerate(processes):
        if is_number(row.get("started")):
            by_pid.setdefault(row.get("pid"), []).append((float(row["started"]), number, row))
    begun = {pid: sorted(rows, key=lambda row: row[0]) for pid, rows in by_pid.items()}
    starts = {pid: [start - _SLACK_S for start, _, _ in rows] for pid, rows in begun.items()}

    def known(pid: Any, at: float) -> Record | None:
        index = bisect_right(starts.get(pid, ()), at) - 1
        return begun[pid][index][2] if index >= 0 else None

    return known


def observes_only(process: Record | None) -> bool:
    """Whether the process ran under ``--observe``: traced, with nothing else switched on."""
    return process is not None and list(process.get("features") or ()) == ["trace"]
