"""What a process measured and could not keep or send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autoperf.errors.wording import count, is_number, printable
from autoperf.features import way_out


def drops(record: Mapping[str, Any]) -> list[str]:
    """A clause for each place where something was lost, or is refused; empty when all arrived."""
    telemetry = record.get("telemetry") or {}
    metrics = telemetry.get("metrics") or {}
    found = [f"{count(telemetry['dropped'])} spans reached no store"] if _some(telemetry, "dropped") else []
    problem = (telemetry.get("store") or {}).get("problem")
    if problem:
        out = f"to leave it out: {way_out('trace')}"
        found.append(f"the local store cannot be written: {printable(str(problem))}; {out}")
    for what, of in (("spans", telemetry), ("metrics", metrics)):
        found += _exporters(what, of)
    if _some(metrics, "dropped"):
        found.append(f"{count(metrics['dropped'])} collections of metrics were dropped")
    return found


def _exporters(what: str, of: Mapping[str, Any]) -> Iterator[str]:
    for one in of.get("exporters") or ():
        lost = f"{count(one['dropped'])} lost" if _some(one, "dropped") else ""
        problem = printable(str(one["problem"])) if one.get("problem") else ""
        if lost or problem:
            told = ", ".join(filter(None, (lost, problem)))
            yield f"{what} to {printable(str(one.get('endpoint') or one.get('kind')))}: {told}"


def _some(row: Mapping[str, Any], key: str) -> bool:
    return is_number(row.get(key)) and row[key] > 0
