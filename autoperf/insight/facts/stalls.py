"""The stalls of a process's event loops: how many, how long, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoperf.errors.wording import count, is_number, printable
from autoperf.insight.facts.causes import on_cpu, told


@dataclass(frozen=True)
class Stalls:
    """``total`` counts all, those that go on included; None where no monitor ran.

    ``rows`` are those of which more is known, oldest first: the fields of `autoperf.monitor.Stall`, and
    ``lasting`` of those that had not ended when the process was last recorded.
    """

    total: int | None
    rows: tuple[Mapping[str, Any], ...]

    @property
    def number(self) -> str:
        """How many, as a clause; "" where that is unknown."""
        if self.total is None:
            return ""
        all_of_them = f"{count(self.total)} stall{'s' * (self.total != 1)}"
        known = len(self.rows)
        return f"{all_of_them}, {count(known)} of them recorded" if known < self.total else all_of_them

    @property
    def text(self) -> str:
        """How many, and the last of them; "" without any."""
        if not self.total or not self.rows:
            return self.number if self.total else ""
        last = self.rows[-1]
        of = "".join(f", {key} {printable(str(last[key]))}" for key in ("tool", "chat") if last.get(key))
        goes_on = "going on" if last.get("lasting") else f"{float(last.get('seconds') or 0):.1f} s"
        cpu = f", {share}" if (share := on_cpu([last])) else ""
        return f"{self.number}; the last, {goes_on}{cpu}: {printable(told(last))}{of}"


def stalls(record: Mapping[str, Any], stored: Iterable[Mapping[str, Any]] = ()) -> Stalls:
    """The stalls of the process of ``record``, of which ``stored`` are in the store."""
    monitor = record.get("monitor") or {}
    ended = list(stored)
    last = monitor.get("last_stall")
    if last and not any(_same(last, row) for row in ended):
        ended.append(last)
    until = float(record.get("updated") or 0.0)
    lasting = [
        {**row, "seconds": max(0.0, until - float(row["at"])), "lasting": True}
        for row in monitor.get("lasting") or ()
        if not any(_same(row, one) for one in ended)
    ]
    rows = sorted([*ended, *lasting], key=lambda row: float(row.get("at") or 0.0))
    counted = monitor.get("stalls")
    if not is_number(counted) and not rows:
        return Stalls(None, ())
    return Stalls(max(int(counted or 0) + len(lasting), len(rows)), tuple(rows))


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both tell of one stall: its begin is known to a tenth of a second while it lasts."""
    if one.get("loop") != other.get("loop"):
        return False
    return abs(float(one.get("at") or 0.0) - float(other.get("at") or 0.0)) < 0.25
