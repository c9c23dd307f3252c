"""How a process is, or how it ended: from its record, and from what the system says of its pid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from autoperf.errors.wording import duration, is_number

# What the system says of a pid: see `autoperf.insight.processes.life`.
ALIVE: Final = "alive"
STOPPED: Final = "stopped"
GONE: Final = "gone"

RUNS: Final = "runs"
SILENT: Final = "silent"
ENDED: Final = "ended"
REPLACED: Final = "replaced"
LOST: Final = "lost"
UNRECORDED: Final = "unrecorded"
# Twice the interval is a late sample; a busy disk or a busy machine makes them later still.
_LATE_INTERVALS: Final = 3
_LATE_S: Final = 10.0
# While nothing is under way a process is described anew every 34 s at the latest: twice that.
_LATE_AT_REST_S: Final = 70.0


@dataclass(frozen=True)
class Ending:
    """``state`` is one of `RUNS`, `STOPPED`, `SILENT`, `ENDED`, `REPLACED`, `LOST` and `UNRECORDED`.

    ``seconds`` are from the start to now, or to the last sign of life; None where they are unknown. ``text``
    follows "process 7 " in a sentence. ``trouble`` is what is wrong with it, or "".
    """

    state: str
    seconds: float | None
    text: str
    trouble: str = ""

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.state in (RUNS, STOPPED, SILENT)


def ending(record: Mapping[str, Any], life: str, now: float) -> Ending:
    """How the process of ``record`` is at ``now`` (s since the epoch)."""
    updated, ended = record.get("updated"), record.get("ended")
    if updated is None and "instance" not in record and ended is None:
        return _unrecorded(record, life, now)
    if ended is not None:
        lived = _between(record, ended)
        if record.get("replaced"):
            return Ending(REPLACED, lived, f"was replaced by another program{_after(lived)}")
        return Ending(ENDED, lived, f"ended{_after(lived)}")
    if life == GONE:
        lived = _between(record, updated)
        at_least = "" if lived is None else f" after at least {duration(lived)}"
        text = f"was killed, or crashed,{at_least}: it recorded no end"
        return Ending(LOST, lived, text, "it is gone without an end of its own: killed, or crashed")
    return _running(record, life, now)


def _running(record: Mapping[str, Any], life: str, now: float) -> Ending:
    lived = _between(record, now)
    since = "" if lived is None else f" since {duration(lived)}"
    if life == STOPPED:
        trouble = "it is stopped (SIGSTOP); kill -CONT lets it go on"
        return Ending(STOPPED, lived, f"is stopped, started {duration(lived or 0)} ago", trouble)
    silent = _silence(record, now)
    if silent is not None:
        why = "it hangs with Python's interpreter held, or cannot write"
        return Ending(SILENT, lived, f"runs{since}", f"no sign of life for {silent:.0f} s: {why}")
    return Ending(RUNS, lived, f"runs{since}")


def _unrecorded(record: Mapping[str, Any], life: str, now: float) -> Ending:
    """Autoperf left one record when it failed to start, and nothing since."""
    if life == GONE:
        return Ending(UNRECORDED, None, "has ended, nothing of it was recorded")
    lived = _between(record, now)
    since = "" if lived is None else f" since {duration(lived)}"
    return Ending(STOPPED if life == STOPPED else RUNS, lived, f"runs{since}, nothing of it is recorded")


def _silence(record: Mapping[str, Any], now: float) -> float | None:
    """Seconds without a sign of life where one is due, else None; at rest that is seldom."""
    monitor, updated = record.get("monitor") or {}, record.get("updated")
    if not monitor.get("running") or not is_number(updated):
        return None
    silent = now - float(updated or 0.0)
    late = _LATE_INTERVALS * float(monitor.get("interval") or 0.0) + _LATE_S
    if record.get("underway") == []:
        late = max(late, _LATE_AT_REST_S)
    return silent if silent > late else None


def _between(record: Mapping[str, Any], last: Any) -> float | None:
    started = record.get("started")
    return max(0.0, float(last) - float(started or 0)) if is_number(started) and is_number(last) else None


def _after(lived: float | None) -> str:
    return "" if lived is None else f" after {duration(lived)}"
