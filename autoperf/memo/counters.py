"""Counters of one process: lookups, executions and intervention checks, as `status` shows them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from autoperf.memo.series import Series

_NAME_LENGTH: Final = 100
_NAMES_KEPT: Final = 1000
OTHER: Final = "(other)"


class Execution:
    """Statistics of one tool or one extension point."""

    __slots__ = ("_row", "_seen", "errors", "overhead", "series")

    def __init__(self) -> None:
        self.series = Series()
        self.overhead = Series()
        self.errors = 0
        self._seen = (-1, -1, -1)
        self._row: dict[str, Any] = {}

    def as_row(self, name: str) -> dict[str, Any]:
        """As ``status`` shows it; ``overhead_ms`` is the host's and our time around the tool, in total."""
        seen = (self.series.count, self.overhead.count, self.errors)
        if seen != self._seen:
            self._row, self._seen = self._described(name), seen
        return dict(self._row)

    def forked(self) -> None:
        """In a child made by fork: what ran before it is the parent's."""
        self.series, self.overhead, self.errors = Series(), Series(), 0

    def _described(self, name: str) -> dict[str, Any]:
        row = {"name": name, "errors": self.errors, **self.series.as_row()}
        if self.overhead.count:
            row["overhead_ms"] = round(self.overhead.total * 1000, 3)
        return row


class Executions:
    """Statistics by name; beyond 1,000 names the rest is counted under ``(other)``. Thread-safe."""

    def __init__(self) -> None:
        self._by_name: dict[str, Execution] = {}
        self._lock = threading.RLock()

    def of(self, name: Any) -> Execution:
        """The statistics of ``name``, which is cut at 100 characters."""
        key = str(name)[:_NAME_LENGTH]
        found = self._by_name.get(key)
        if found is not None:
            return found
        with self._lock:
            if len(self._by_name) >= _NAMES_KEPT:
                key = OTHER
            return self._by_name.setdefault(key, Execution())

    def count(self) -> int:
        """How many executions there were in all."""
        return sum(execution.series.count for execution in list(self._by_name.values()))

    def forked(self) -> None:
        """Replace every lock; see `Probe.forked`."""
        self._lock = threading.RLock()
        for execution in self._by_name.values():
            execution.forked()

    def as_rows(self) -> list[dict[str, Any]]:
        """One row a name, most time first."""
        used = [row for row in list(self._by_name.items()) if row[1].series.count or row[1].errors]
        rows = [execution.as_row(name) for name, execution in used]
        return sorted(rows, key=lambda row: -row["total_ms"])


class Lookups:
    """How many lookups there were, and how many of them needed a source file to be read.

    One lookup is one ``get_tool`` or one extension call. It is a hit when nothing was read from a source
    file: the class was kept, or kept code was executed again, or there verifiably was nothing to load.
    Where no loader of ours is in the host's place to tell, ``measured`` is False: neither hits nor misses.
    """

    __slots__ = ("_counters", "hits", "measured", "misses", "reasons")

    def __init__(self, *, measured: bool = True) -> None:
        self.measured = measured
        self._counters: list[Callable[[], int]] = []
        self.hits = 0
        self.misses = 0
        self.reasons: dict[str, int] = {}

    def count_hits_with(self, counter: Callable[[], int]) -> None:
        """Add a wrapper's own counter of hits: a closure variable is the cheapest thing to count with."""
        self._counters.append(counter)

    def count(self, *, hit: bool) -> None:
        """Count one lookup."""
        if hit:
            self.hits += 1
        else:
            self.misses += 1

    def missed_for(self, reason: str) -> None:
        """The last miss was for ``reason``, one of a few fixed texts."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def as_row(self) -> dict[str, Any]:
        """Lookups, hits, misses and the share of hits: None where unknown, or before the first lookup.

        Where reasons of misses are known they are under ``why``, with how often each was one.
        """
        total = self.total()
        if not self.measured:
            return {"lookups": total, "hits": None, "misses": None, "hit_rate": None}
        hits = total - self.misses
        rate = round(hits / total, 4) if total else None
        row = {"lookups": total, "hits": hits, "misses": self.misses, "hit_rate": rate}
        return {**row, "why": dict(self.reasons)} if self.reasons else row

    def total(self) -> int:
        """All lookups."""
        counted = self.hits + self.misses
        return counted + sum(counter() for counter in self._counters) if self._counters else counted


class Rates:
    """How many look-ups there were since it was last asked, and how many of those were hits."""

    def __init__(self, *lookups: Lookups) -> None:
        self._lookups = lookups
        self._before = (0, 0)

    def since_last(self) -> dict[str, int]:
        """``lookups`` and ``hits`` together of all that are measured; empty where there were none."""
        measured = [one for one in self._lookups if one.measured]
        total = sum(one.total() for one in measured)
        now = (total, total - sum(one.misses for one in measured))
        lookups, hits = now[0] - self._before[0], now[1] - self._before[1]
        self._before = now
        return {"lookups": lookups, "hits": hits} if lookups > 0 else {}


class Interventions:
    """Idle checks are only counted; waits and raised interventions also become spans."""

    __slots__ = ("_idle", "busy", "raised", "waited")

    def __init__(self) -> None:
        self._idle: list[Callable[[], int]] = []
        self.busy = 0
        self.waited = 0
        self.raised = 0

    def count_idle_with(self, counter: Callable[[], int]) -> None:
        """Add a wrapper's own counter of idle checks: nothing counts cheaper than a closure variable."""
        self._idle.append(counter)

    def as_row(self) -> dict[str, int]:
        """All calls, and those that waited or raised."""
        return {"calls": self.total(), "waited": self.waited, "raised": self.raised}

    def total(self) -> int:
        """All checks."""
        return self.busy + sum(counter() for counter in self._idle)
