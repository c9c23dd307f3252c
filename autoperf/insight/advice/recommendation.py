"""The table of rules, and what they advise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from autoperf.errors import guarded
from autoperf.insight.advice.rules import caches, defects, process, stalls, turns
from autoperf.insight.facts import Facts, Recommendation

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
    turns.streams,
    turns.clients,
    turns.utility_model,
    turns.prompts,
    turns.chats,
    caches.rates,
    caches.sizes,
)
_ORDER: Final = ("high", "medium", "low")
# What is not told beside certain others: it blames something else, or the same more vaguely.
_GIVES_WAY_TO: Final = {
    # It says that nothing on this machine can save much.
    "model dominates": {
        "tool dominates", "loop blocked", "loop held up by the machine", "utility model slow",
        "framework on the stream dominates", "model client dominates", "slow MCP server",
    },
    # Half of the time inside a tool and half in one of these: the tool's own model calls are the cause.
    "tool dominates": {"framework on the stream dominates", "model client dominates"},
    # What the machine withholds is missing wherever the host works.
    "framework on the stream dominates": {"loop held up by the machine"},
    "model client dominates": {"loop held up by the machine"},
    # A larger limit only puts off what growth reaches.
    "memory close to the limit": {"memory grows"},
    "prompt too long": {"history grows"},
    "slow disk": {"slow mount"},
}  # fmt: skip


def recommend(facts: Facts, rules: Iterable[Rule] = RULES) -> list[Recommendation]:
    """What the facts advise, the weightiest first; a rule that fails is counted and passed over."""
    found: list[Recommendation] = []
    for rule in rules:
        with guarded("recommendations"):
            found += rule(facts)
    return settled(found)


def settled(found: Iterable[Recommendation]) -> list[Recommendation]:
    """One conclusion for a cause, the weightiest first: without those that another one contradicts or holds.

    Of several with the same action the weightiest is told.
    """
    ordered = sorted(found, key=lambda one: _ORDER.index(one.weight))
    told = {one.rule for one in ordered}
    actions: set[str] = set()
    kept = []
    for one in ordered:
        if told & _GIVES_WAY_TO.get(one.rule, set()) or one.action in actions or _reversed(one, ordered):
            continue
        actions.add(one.action)
        kept.append(one)
    return kept


def _reversed(one: Recommendation, others: Iterable[Recommendation]) -> bool:
    """Whether it makes smaller what another one makes larger."""
    return one.rule == "cache too large" and any(
        other.rule == "cache too small"
        and other.setting
        and one.setting
        and other.setting[0] == one.setting[0]
        for other in others
    )
