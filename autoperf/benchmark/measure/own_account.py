"""What autoperf says of itself after a run: patches, hit rates, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoperf.benchmark.host.process import HostError
from autoperf.benchmark.measure.samples import OWN, OWN_LAST, OWN_START, Sample
from autoperf.insight.facts.cost import Cost, costs
from autoperf.insight.facts.patches import patches


def add(sample: Sample, shown: Sequence[Any]) -> None:
    """Take patches, failures, hit rates and cost over from what `autoperf status --json` said, latest last.

    Hit rates are those of the whole run and, where two were shown, of what came between the last two. Raises
    ``HostError`` when it said something else.
    """
    if not shown:
        return
    if not all(isinstance(row, dict) for row in shown):
        raise HostError(f"autoperf status says nothing of this run: {shown[-1]}")
    said = patches(shown[-1])
    if said.applied < said.wanted:
        sample.notes.append(said.text)
    sample.failures = shown[-1]["failures"]
    _add_cost(sample, [costs(row) for row in shown])
    before: Mapping[str, Any] = shown[-2]["lookups"] if len(shown) > 1 else {}
    for name, now in shown[-1]["lookups"].items():
        sample.hit_rates |= _rate(name, now, {})
        if name in before:
            sample.hit_rates |= _rate(f"{name}, last message", now, before[name])


def _add_cost(sample: Sample, told: Sequence[Cost | None]) -> None:
    last, before = told[-1], told[-2] if len(told) > 1 else None
    if last is not None:
        sample.values |= {OWN_START: last.start, OWN: last.running}
        if before is not None:
            sample.values[OWN_LAST] = last.running - before.running


def _rate(name: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, float]:
    if now.get("hits") is None:
        return {}  # nobody counted them
    lookups = now["lookups"] - before.get("lookups", 0)
    return {name: (now["hits"] - (before.get("hits") or 0)) / lookups} if lookups else {}
