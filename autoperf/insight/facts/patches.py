"""What of autoperf's patches is in the host, and which features that leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoperf.wording import printable

_TROUBLED = ("failed", "inert")


@dataclass(frozen=True)
class Patches:
    """``applied`` of the ``wanted`` rows are in place; ``features`` are those that were switched on."""

    applied: int
    wanted: int
    features: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def text(self) -> str:
        """How many of them are in place: the same words everywhere."""
        return f"{self.applied} of {self.wanted} patches applied"

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {"applied": self.applied, "wanted": self.wanted, "problems": list(self.problems)}


def patches(record: Mapping[str, Any]) -> Patches:
    """Of the process of ``record``: rows that nobody waits for are in no count."""
    rows = record.get("patches") or []
    problems = tuple(
        printable(f"{row.get('target')} is {row['state']}: {row.get('reason') or 'no reason recorded'}")
        for row in rows
        if row.get("state") in _TROUBLED
    )
    applied = sum(row.get("state") == "applied" for row in rows)
    wanted = sum(not _unmissed(row) for row in rows)
    return Patches(applied, wanted, tuple(record.get("features") or ()), problems)


def _unmissed(row: Mapping[str, Any]) -> bool:
    waits, missing = (row.get("state") == state for state in ("waiting", "missing"))
    optional, foreign = (bool(row.get(key)) for key in ("optional", "foreign"))
    return (optional and (waits or missing)) or (foreign and waits)
