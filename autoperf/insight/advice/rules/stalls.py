"""Advice on what blocks an event loop: on the host's code only where that had the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from autoperf.insight.advice.rules.defects import explains
from autoperf.insight.facts import Facts, Recommendation, Weight
from autoperf.insight.facts.causes import MACHINE, on_cpu

_OFTEN: Final = 5
_LONG_S: Final = 30.0
_CALLERS: Final = 3
_REMEDIES: Final[Mapping[str, str]] = {
    "starved": "give it more CPU: run less beside it, or use a machine with more",
    "throttled": "raise the CPU limit of its container (cpu.max, docker run --cpus)",
    "stolen": "use a machine whose CPUs are not shared with others",
    "stopped": "look for what stops it: a frozen container, a debugger, a machine that sleeps",
    "paging": "give the machine or the container more memory",
}
Rows = Sequence[Mapping[str, Any]]


def blocked(facts: Facts) -> Iterator[Recommendation]:
    """One place that blocks the loop which all chats share: again and again, or for long.

    Where the loop only waited, there is advice as far as a feature of autoperf's may shorten that.
    """
    remedy = _feature(facts)
    places: dict[str, list[Mapping[str, Any]]] = {}
    for stall in facts.stalls:
        if stall.get("stack") and (stall.get("cause") == "code" or (stall.get("cause") == "wait" and remedy)):
            places.setdefault(stall["stack"][-1], []).append(stall)
    told = {place: rows for place, rows in places.items() if _counts(rows) and not explains(facts, place)}
    for place in sorted(told, key=lambda one: -_seconds(told[one]))[:1]:
        rows = told[place]
        callers = "".join(f", from {frame}" for frame in rows[-1]["stack"][-2 : -_CALLERS - 2 : -1])
        yield Recommendation(
            "loop blocked",
            _weight(rows),
            f"{place.partition(' ')[2]} blocks every chat while it runs",
            f"{_measured(rows)} at {place}{callers}",
            f"{_seconds(rows):.0f} s in which no chat moved",
            remedy or "report it, with these places, to whoever wrote that code",
        )


def held_up(facts: Facts) -> Iterator[Recommendation]:
    """The machine gave the loop no CPU, again and again or for long; what kept it back most."""
    kinds = {cause: [one for one in facts.stalls if one.get("cause") == cause] for cause in MACHINE}
    told = {cause: rows for cause, rows in kinds.items() if _counts(rows)}
    for cause in sorted(told, key=lambda one: -_seconds(told[one]))[:1]:
        rows = told[cause]
        loads = [load for one in rows if (load := (one.get("measured") or {}).get("load")) is not None]
        yield Recommendation(
            "loop held up by the machine",
            _weight(rows),
            f"The machine holds up every chat: {MACHINE[cause]}",
            f"{_measured(rows)}{f'; load {sum(loads) / len(loads):.1f}' if loads else ''}",
            f"{_seconds(rows):.0f} s in which no chat moved",
            _REMEDIES[cause],
        )


def _seconds(rows: Rows) -> float:
    return sum(float(one["seconds"]) for one in rows)


def _counts(rows: Rows) -> bool:
    return len(rows) >= _OFTEN or _seconds(rows) >= _LONG_S


def _weight(rows: Rows) -> Weight:
    return "high" if _seconds(rows) >= _LONG_S else "medium"


def _measured(rows: Rows) -> str:
    average = f"{len(rows)} stalls of {_seconds(rows) / len(rows):.1f} s on average"
    share = on_cpu(rows)
    told = average if len(rows) > 1 else f"one stall of {_seconds(rows):.1f} s"
    return f"{told} ({share})" if share else told


def _feature(facts: Facts) -> str:
    default = {"streaming", "prompts", "settings", "output"}
    missing = sorted(feature for feature in default if not facts.on(feature))
    return f"AUTOPERF_FEATURES={','.join('+' + name for name in missing)}" if missing else ""
