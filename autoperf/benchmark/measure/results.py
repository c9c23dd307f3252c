"""What was measured of one scenario as data: every value of each variant, and its ratio to the bare host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from autoperf.benchmark.measure.rounds import BARE, Measured
from autoperf.benchmark.measure.samples import GROWTH, UNITS, Sample
from autoperf.benchmark.measure.spreads import ratios, spread

# Smaller is better and nothing else: a ratio of two of these would say nothing.
_WITHOUT_RATIO = frozenset({GROWTH})


def as_data(found: Measured, meaning: str, provider: str) -> dict[str, Any]:
    """One JSON object; ``rows`` hold for every variant each round's value, their median and extremes.

    ``ratio`` is bare / variant, round by round: more is better.
    """
    variants = list(found.samples)
    bare = found.samples[BARE.name]
    names = dict.fromkeys(
        name for samples in found.samples.values() for one in samples for name in one.values
    )
    return {
        "scenario": found.scenario,
        "meaning": meaning,
        "provider": provider,
        "rounds": len(bare),
        "variants": variants,
        "counts": bare[0].counts,
        "rows": [_row(name, found) for name in names],
        "hit_rates": {
            name: _hit_rates(samples) for name, samples in found.samples.items() if name != BARE.name
        },
        "tenths": {
            name: [one.tenths for one in samples if one.tenths] for name, samples in found.samples.items()
        },
        "differences": found.differences,
        "failures": {
            name: failures
            for name, samples in found.samples.items()
            if (failures := [failure for one in samples for failure in one.failures])
        },
        "notes": found.notes,
    }


def _row(name: str, found: Measured) -> dict[str, Any]:
    bare = _values(found.samples[BARE.name], name)
    variants: dict[str, Any] = {}
    for variant, samples in found.samples.items():
        each = _values(samples, name)
        variants[variant] = _spread([value for value in each if value is not None]) | {"each": each}
        if variant != BARE.name and name not in _WITHOUT_RATIO:
            quotients = ratios(bare, each)
            variants[variant]["ratio"] = _spread(quotients) | {"each": quotients}
    return {"what": name, "unit": UNITS.get(name, "s"), "variants": variants}


def _values(samples: Sequence[Sample], name: str) -> list[float | None]:
    return [one.values.get(name) for one in samples]


def _hit_rates(samples: Sequence[Sample]) -> dict[str, Any]:
    names = dict.fromkeys(name for one in samples for name in one.hit_rates)
    return {
        name: _spread([one.hit_rates[name] for one in samples if name in one.hit_rates]) for name in names
    }


def _spread(numbers: Sequence[float]) -> dict[str, Any]:
    found = spread(numbers)
    return {"median": None, "lowest": None, "highest": None} if found is None else asdict(found)
