"""Made situations with the advice that must come, and none beside it that contradicts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from autoperf.insight.advice.recommendation import recommend, settled
from autoperf.insight.facts import Facts, Host, PromptSize, Recommendation
from autoperf.insight.traces.timings import Timing
from autoperf.telemetry import names

ALL = ("client", "output", "prompts", "settings", "streaming")
MIB = 1 << 20
SLOWER = "model dominates"
STREAM, CLIENT = "framework on the stream dominates", "model client dominates"
BLOCKED, MACHINE = "loop blocked", "loop held up by the machine"
TOOL, UTILITY, MCP = "tool dominates", "utility model slow", "slow MCP server"
# Each blames something else for the time of messages: of these at most one may be told.
BLAMES = {SLOWER, STREAM, CLIENT}


def timing(kind: str, name: str, seconds: float, count: int = 40) -> Timing:
    ms = seconds * 1e3
    return Timing(kind, name, count, 0, ms, ms, ms, ms * count)


CHAT = timing(names.CHAT, "gpt", 2.0)
CODE = timing(names.EXECUTE_TOOL, "code", 1.6)
UTILITIES = [timing("chat utility", "u", 9.0), timing("chat chat", "gpt", 2.0)]
CONNECTS = timing(names.MCP_CONNECT, "server", 1.0)


def spent(
    features: Sequence[str] = ALL, more: Sequence[Timing] = (), messages: int = 10, **layers: float
) -> dict[str, Any]:
    """Ten messages of 100 s in all, these seconds of them in these layers."""
    return {
        "process": {"features": list(features)},
        "timings": [CHAT, *more],
        "tool_seconds": {one.name: one.total_ms / 1e3 for one in more if one.kind == names.EXECUTE_TOOL},
        "messages": messages,
        "message_seconds": 100.0,
        "layers": layers,
    }


def stalls(cause: str, count: int = 6) -> dict[str, Any]:
    stall = {"seconds": 8.0, "stack": ["agent.py:1 monologue", "a.py:9 work"], "cause": cause}
    return {"stalls": [stall] * count}


def near_limit(growing: bool) -> dict[str, Any]:
    def memory(number: int) -> float:
        return (500 + number / 10) * MIB if growing else 500 * MIB

    rows = [
        {"at": 1e9 + 10 * n, "memory": memory(n), "memory_limit": 620 * MIB, "memory_of_limit": 600 * MIB}
        for n in range(1000)
    ]
    return {"samples": rows}


def disks(share: float) -> dict[str, Any]:
    return {"samples": [{"at": float(n), "io_waiting": share} for n in range(60)]}


def prompts(*sizes: int) -> dict[str, Any]:
    return {"prompts": [PromptSize("c", float(at), size) for at, size in enumerate(sizes)]}


GROWS, LONG = range(10_000, 210_000, 10_000), [80_000] * 20
REMOTE = {"host": Host(root_remote=True, root_file_system="nfs4")}

# Facts, what must be advised, and what must not.
SITUATIONS: Mapping[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "nothing is known": ({}, set(), BLAMES | {BLOCKED}),
    "waits for the provider": (spent(provider=90), {SLOWER}, {STREAM, CLIENT}),
    "waits for it half of the time": (spent(provider=50), set(), BLAMES),
    "too few messages to say": (spent(messages=4, provider=90), set(), BLAMES),
    "a model that answers at once": (spent(provider=1, stream=65, client=30), {STREAM}, {SLOWER, CLIENT}),
    "the stream, a little": (spent(provider=30, stream=40, client=20), set(), BLAMES),
    "the client, its feature off": (spent(["output"], client=60, stream=30), {CLIENT}, {SLOWER, STREAM}),
    "the client, its feature on": (spent(client=60, stream=30), set(), BLAMES),
    "calls that measured nothing": (spent(unexplained=95), set(), BLAMES),
    "prompts take the time": (spent(prompt=90), set(), BLAMES),
    "the user is waited for": (spent(waiting=90), set(), BLAMES),
    "one tool takes most": (spent(more=[CODE], tools=64, provider=30), {TOOL}, BLAMES),
    "a tool that asks a model": (spent(more=[CODE], provider=85), {TOOL}, {SLOWER}),
    "a tool whose model streams": (spent(more=[CODE], stream=60), {STREAM}, {TOOL, SLOWER, CLIENT}),
    "a tool whose client works": (spent(["output"], [CODE], client=60), {CLIENT}, {TOOL, SLOWER, STREAM}),
    "waits, and code blocks": (spent(provider=85) | stalls("code"), {BLOCKED}, {SLOWER}),
    "waits, and the machine starves": (spent(provider=85) | stalls("starved"), {MACHINE}, {SLOWER, BLOCKED}),
    "the stream on a starved machine": (spent(stream=70) | stalls("starved"), {MACHINE}, {STREAM, BLOCKED}),
    "the stream on a throttled one": (spent(stream=70) | stalls("throttled"), {MACHINE}, {STREAM, BLOCKED}),
    "the client on a starved machine": (
        spent(["output"], client=70) | stalls("starved"), {MACHINE}, {CLIENT, SLOWER},
    ),
    "the stream, and code blocks": (spent(stream=70) | stalls("code"), {STREAM, BLOCKED}, {SLOWER}),
    "stalls without a cause": (spent(provider=85) | stalls(""), {SLOWER}, {BLOCKED, MACHINE}),
    "stalls that only waited": (spent(provider=85) | stalls("wait"), {SLOWER}, {BLOCKED, MACHINE}),
    "few stalls": (spent(provider=85) | stalls("code", 3), {SLOWER}, {BLOCKED}),
    "waits, the utility model slower": (spent(more=UTILITIES, provider=85), {UTILITY}, {SLOWER}),
    "waits, and a server starts slowly": (spent(more=[CONNECTS], provider=85), {MCP}, {SLOWER}),
    "memory near its limit": (near_limit(False), {"memory close to the limit"}, {"memory grows"}),
    "memory that grows to its limit": (near_limit(True), {"memory grows"}, {"memory close to the limit"}),
    "long prompts": (prompts(*LONG), {"prompt too long"}, {"history grows"}),
    "prompts that grew long": (prompts(*GROWS), {"history grows"}, {"prompt too long"}),
    "a slow disk": (disks(0.5), {"slow disk"}, {"slow mount"}),
    "a slow disk that is a mount": (disks(0.5) | REMOTE, {"slow mount"}, {"slow disk"}),
    "a disk in order": (disks(0.1), set(), {"slow disk", "slow mount"}),
}  # fmt: skip


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_has_its_advice_and_none_that_contradicts_it(name: str) -> None:
    given, must, must_not = SITUATIONS[name]
    found = recommend(Facts(**given))
    told = {one.rule for one in found}
    assert must <= told
    assert not must_not & told
    assert len(BLAMES & told) <= 1
    assert len({one.action for one in found}) == len(found)


def test_there_are_thirty_of_them() -> None:
    assert len(SITUATIONS) >= 30


def test_the_framework_on_the_stream_is_told_with_what_took_most_and_what_is_left_to_do() -> None:
    def advice(features: Sequence[str]) -> Recommendation:
        facts = Facts(**spent(features, stream=70), callbacks="Live (response_stream) 60.0 s")
        (found,) = (one for one in recommend(facts) if one.rule == STREAM)
        return found

    told = advice(["output"])
    assert told.evidence == "70.0 of 100.0 s in 10 messages; most: Live (response_stream) 60.0 s"
    assert told.action == "AUTOPERF_FEATURES=+streaming"
    assert advice(ALL).action.startswith("AUTOPERF_FEATURES=+throttle")
    assert advice([*ALL, "throttle"]).action == "see which extension it is: autoperf traces show ID"


def sized(rule: str, option: str, weight: Any = "low") -> Recommendation:
    return Recommendation(rule, weight, "t", "e", "g", f"AUTOPERF_{option.upper()} {rule}", (option, "1"))


def test_no_cache_is_to_be_larger_and_smaller_at_once() -> None:
    small, large = sized("cache too small", "tool_cache_size"), sized("cache too large", "tool_cache_size")
    other = sized("cache too large", "extension_cache_size")
    assert settled([large, small, other]) == [small, other]


def test_of_two_with_one_action_the_weightier_is_told() -> None:
    one, two = (Recommendation(rule, weight, "t", "e", "g", "do it") for rule, weight in RULES)
    assert settled([one, two]) == [two]


RULES: Any = (("a", "low"), ("b", "high"))
