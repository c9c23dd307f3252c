"""What each cache and memo of a process did: one row a name, its hits decided here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from autoperf.errors.wording import count, is_number

# Of several processes the newest one's.
_LAST_ONLY: Final = frozenset({"currsize", "maxsize", "ttl"})
_STORED: Final = (
    "currsize", "maxsize", "ttl", "loads", "evictions", "expirations", "invalidations", "reexecutions",
    "seconds_loading", "seconds_saved",
)  # fmt: skip
_ASKED: Final = ("lookups", "hits", "misses")


@dataclass(frozen=True)
class Cache:
    """What was asked of one cache, and what it kept; a number is None where it was not counted.

    A look-up of ``tools`` is one ``get_tool``, of ``extensions`` one extension call, of any other name one
    question; a hit is one for which nothing was read from a source file, or worked out, again. The numbers
    from ``currsize`` on are those of the entries that are kept: a cache that keeps classes has them.
    ``why`` says why there are no hits, or why they are unknown.
    """

    name: str
    lookups: float | None = None
    hits: float | None = None
    misses: float | None = None
    why: str = ""
    currsize: float | None = None
    maxsize: float | None = None
    ttl: float | None = None
    loads: float | None = None
    evictions: float | None = None
    expirations: float | None = None
    invalidations: float | None = None
    reexecutions: float | None = None
    seconds_loading: float | None = None
    seconds_saved: float | None = None

    @property
    def hit_rate(self) -> float | None:
        """The share of hits, 0 to 1, of the look-ups of which it is known; None without any."""
        known = (self.hits or 0) + (self.misses or 0)
        return None if self.hits is None or not known else self.hits / known

    @property
    def stores(self) -> bool:
        """Whether it keeps entries of its own that are counted."""
        return self.maxsize is not None

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {**asdict(self), "hit_rate": self.hit_rate}


def caches(*records: Mapping[str, Any]) -> dict[str, Cache]:
    """Every cache and memo of the processes of ``records`` (newest first), added up, by name."""
    sums: dict[str, dict[str, float]] = {}
    reasons: dict[str, dict[str, float]] = {}
    for record in records:
        for name, row in _rows(record).items():
            _add(sums.setdefault(name, {}), row)
            _add(reasons.setdefault(name, {}), row.get("why") or {})
    return {
        name: Cache(name, **{key: row.get(key) for key in (*_ASKED, *_STORED)}, why=_why(row, reasons[name]))
        for name, row in sums.items()
    }


def _rows(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the process did by itself: a forked child counts on from where its parent was."""
    rows, before = _together(record), _together(record.get("inherited") or {})
    for name, inherited in before.items():
        row = rows.get(name, {})
        for key, value in inherited.items():
            if key not in _LAST_ONLY and is_number(value) and is_number(row.get(key)):
                row[key] -= value
    return rows


def _together(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Both tables of a record as one: what was asked is told by ``lookups`` where a name has both."""
    asked, stored = record.get("lookups") or {}, record.get("caches") or {}
    found: dict[str, dict[str, Any]] = {str(name): dict(row) for name, row in asked.items()}
    for name, row in stored.items():
        kept = {key: value for key, value in row.items() if key in _STORED}
        if name not in asked and is_number(row.get("hits")):
            # An earlier version's record: its look-ups are those of the entries.
            lookups = row["hits"] + (row.get("misses") or 0)
            kept |= {"lookups": lookups, "hits": row["hits"], "misses": row.get("misses") or 0}
        found.setdefault(str(name), {}).update(kept)
    return found


def _add(sums: dict[str, float], row: Mapping[str, Any]) -> None:
    for key, value in row.items():
        if is_number(value):
            sums[key] = sums.get(key, value) if key in _LAST_ONLY else sums.get(key, 0) + value


def _why(row: Mapping[str, float], reasons: Mapping[str, float]) -> str:
    if not row.get("lookups") or row.get("hits"):
        return ""
    if "hits" not in row:
        return "not measured: the host loads there by itself"
    told = sorted(reasons.items(), key=lambda item: -item[1])
    words = ", ".join(f"{reason} ({count(number)})" for reason, number in told)
    return words or "each was asked for the first time, or made from what had changed"
