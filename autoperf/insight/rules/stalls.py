"""Advice on what blocks an event loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from autoperf.insight.facts import Facts, Recommendation
from autoperf.insight.rules.defects import explains

_OFTEN: Final = 5
_LONG_S: Final = 30.0
_CALLERS: Final = 3


def blocked(facts: Facts) -> Iterator[Recommendation]:
    """One place that blocks the loop which all chats share: again and again, or for long."""
    places: dict[str, list[float]] = {}
    callers: dict[str, str] = {}
    for stall in facts.stalls:
        if stall.get("stack"):
            *above, place = stall["stack"]
            places.setdefault(place, []).append(float(stall["seconds"]))
            callers[place] = "".join(f", from {frame}" for frame in above[: -_CALLERS - 1 : -1])
    told = {
        place: times
        for place, times in places.items()
        if (len(times) >= _OFTEN or sum(times) >= _LONG_S) and not explains(facts, place)
    }
    for place in sorted(told, key=lambda one: -sum(told[one]))[:1]:
        times = told[place]
        average = f"{len(times)} stalls of {sum(times) / len(times):.1f} s on average"
        yield Recommendation(
            "loop blocked",
            "high" if sum(times) >= _LONG_S else "medium",
            f"{place.partition(' ')[2]} blocks every chat while it runs",
            f"{average if len(times) > 1 else f'one stall of {times[0]:.1f} s'} at {place}{callers[place]}",
            f"{sum(times):.0f} s in which no chat moved",
            _remedy(facts),
        )


def _remedy(facts: Facts) -> str:
    default = {"streaming", "prompts", "settings", "output"}
    missing = sorted(feature for feature in default if not facts.on(feature))
    if missing:
        return f"AUTOPERF_FEATURES={','.join('+' + name for name in missing)}"
    return "report it, with these places, to whoever wrote that code"
