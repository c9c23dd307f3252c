"""Variants of one scenario, alternating over several rounds, each compared with the bare run beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autoperf.benchmark.measure.noise import Noise
from autoperf.benchmark.measure.samples import Sample
from autoperf.features import FEATURES


@dataclass(frozen=True)
class Variant:
    """One way to run the host: bare when ``features`` is None, else under autoperf with this feature list."""

    name: str
    features: str | None = None


BARE = Variant("bare")


@dataclass
class Measured:
    """``samples`` by name of the variant, one a round; ``differences`` of transcripts by the same names."""

    scenario: str
    samples: dict[str, list[Sample]]
    differences: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compared(features: Sequence[str] = ("all",)) -> tuple[Variant, ...]:
    """The host alone and under autoperf; with several lists of features, under each of them."""
    if len(features) == 1:
        return (BARE, Variant("autoperf", features[0]))
    return (BARE, *(Variant(names, names) for names in dict.fromkeys(features)))


def matrix() -> tuple[Variant, ...]:
    """The host alone, with each feature alone, and with all of them."""
    return (BARE, *(Variant(name, name) for name in FEATURES), Variant("all", "all"))


def ordered(variants: Sequence[Variant], number: int) -> list[Variant]:
    """The order of one round, counted from 0: every second one backwards, so that a drift hits all alike."""
    return list(reversed(variants)) if number % 2 else list(variants)


def measure(
    scenario: str,
    variants: Sequence[Variant],
    hold: Callable[[Variant], Sample],
    *,
    rounds: int,
    noise: Noise,
    progress: Callable[[str], object],
) -> Measured:
    """Call ``hold`` for every variant in every round, in fresh processes of its own making.

    Transcripts are dropped once they were compared; the first difference of a variant is kept. Whatever
    ``hold`` raises ends it.
    """
    found = Measured(scenario, {variant.name: [] for variant in variants})
    for number in range(rounds):
        noise.listen()
        for variant in ordered(variants, number):
            begun, here = time.monotonic(), f"{scenario}, round {number + 1} of {rounds}, {variant.name}"
            progress(here)
            found.samples[variant.name].append(hold(variant))
            progress(f"{here}: {time.monotonic() - begun:.1f} s")
            noise.listen()
        _compare(found)
    return found


def _compare(found: Measured) -> None:
    latest = {name: samples[-1] for name, samples in found.samples.items()}
    bare = latest[BARE.name].transcript
    for name, sample in latest.items():
        if name != BARE.name and bare is not None and name not in found.differences:
            differences = bare.differences(sample.transcript)
            if differences:
                found.differences[name] = differences
    for name, sample in latest.items():
        sample.transcript = None
        found.notes += [note for text in sample.notes if (note := f"{name}: {text}") not in found.notes]
