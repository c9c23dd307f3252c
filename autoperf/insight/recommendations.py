"""The table of rules, and what they advise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from autoperf.errors import guarded
from autoperf.insight.facts import Facts, Recommendation
from autoperf.insight.rules import caches, defects, process, stalls, turns

Rule = Callable[[Facts], Iterator[Recommendation]]
RULES: Final[tuple[Rule, ...]] = (
    process.memory_limit,
    process.memory_leak,
    stalls.blocked,
    stalls.held_up,
    process.torch,
    process.leftover_browsers,
    process.handles,
    process.disk,
    process.bytecode,
    defects.known,
    turns.mcp_servers,
    turns.tools,
    turns.models,
    turns.utility_model,
    turns.prompts,
    turns.chats,
    caches.rates,
    caches.sizes,
)
_ORDER: Final = ("high", "medium", "low")


def recommend(facts: Facts, rules: Iterable[Rule] = RULES) -> list[Recommendation]:
    """What the facts advise, the weightiest first; a rule that fails is counted and passed over."""
    found: list[Recommendation] = []
    for rule in rules:
        with guarded("recommendations"):
            found += rule(facts)
    return sorted(found, key=lambda one: _ORDER.index(one.weight))
