"""Advice on what the time of messages goes into: models, tools, MCP servers, prompts, chats."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from statistics import median
from typing import Final

from autoperf.insight.compare.trends import trend
from autoperf.insight.facts import Facts, Recommendation
from autoperf.insight.traces.layers import CLIENT, PROVIDER, STREAM
from autoperf.telemetry import names

_MESSAGES: Final = 5
_CALLS: Final = 10
_SLOW_CONNECT_MS: Final = 300.0
_LONG_PROMPT: Final = 60_000
# Prompts that are looked at: older ones tell of settings that may be others now.
_LATEST: Final = 50
_MANY_CHATS: Final = 30


def mcp_servers(facts: Facts) -> Iterator[Recommendation]:
    """Servers that are started, or reached, again for every call."""
    if facts.on("mcp-keep") or facts.on("mcp-standby"):
        return
    for timing in facts.timed(names.MCP_CONNECT):
        if timing.count >= _MESSAGES and timing.p50_ms >= _SLOW_CONNECT_MS and facts.in_use(timing):
            yield Recommendation(
                "slow MCP server",
                "high" if timing.total_ms > 10_000 else "medium",
                f"The MCP server {timing.name or '?'} takes longer to start than most calls take",
                f"{timing.count} connections, median {timing.p50_ms:,.0f} ms",
                f"about {timing.p50_ms / 1e3:.1f} s a call",
                "AUTOPERF_FEATURES=+mcp-keep if its state may be kept between calls, else +mcp-standby",
            )


def tools(facts: Facts) -> Iterator[Recommendation]:
    """One tool that takes most of the time."""
    if facts.messages < _MESSAGES or not facts.message_seconds:
        return
    # The one that ran longest, of which calls that ran side by side count once.
    slowest = max(facts.tool_seconds, key=facts.tool_seconds.__getitem__, default="")
    for timing in facts.timed(names.EXECUTE_TOOL):
        if timing.name != slowest:
            continue
        share = facts.tool_seconds.get(timing.name, 0.0) / facts.message_seconds
        of_others = timing.name in ("call_subordinate", "response")
        if timing.count >= _CALLS and share >= 0.5 and not of_others and facts.in_use(timing):
            yield Recommendation(
                "tool dominates",
                "medium",
                f"The tool {timing.name} takes {share:.0%} of the time of messages",
                f"{timing.count} calls in {facts.messages} messages, median {timing.p50_ms:,.0f} ms, p95 "
                f"{timing.p95_ms:,.0f} ms",
                f"half its time saved is {share / 2:.0%} of every message",
                f"see what it waits for: autoperf traces --tool {shlex.quote(timing.name)}, then "
                "autoperf traces show ID",
            )


def models(facts: Facts) -> Iterator[Recommendation]:
    """Messages that mostly wait for the provider, by what was measured of each call."""
    share = facts.share(PROVIDER)
    if share < 0.8:
        return
    for timing in facts.timed(names.CHAT)[:1]:
        if timing.count >= _CALLS and facts.newest(f"{names.CHAT} chat") in (None, timing.name):
            yield Recommendation(
                "model dominates",
                "low",
                f"{share:.0%} of the time of messages is spent waiting for models",
                f"{timing.name}: {timing.count} calls, median {timing.p50_ms / 1e3:.1f} s, p95 "
                f"{timing.p95_ms / 1e3:.1f} s",
                "nothing that runs on this machine can save more than the rest",
                f"a faster model or provider for {timing.name}, or fewer steps a message",
            )


def streams(facts: Facts) -> Iterator[Recommendation]:
    """Messages that mostly go into the host's own callbacks on the stream: no faster model helps there."""
    share = facts.share(STREAM)
    if share < 0.5:
        return
    missing = sorted(feature for feature in ("streaming", "output") if not facts.on(feature))
    if missing:
        action = f"AUTOPERF_FEATURES={','.join('+' + name for name in missing)}"
    elif not facts.on("throttle"):
        action = "AUTOPERF_FEATURES=+throttle (extensions of a stream run less often)"
    else:
        action = "see which extension it is: autoperf traces show ID"
    yield Recommendation(
        "framework on the stream dominates",
        "medium",
        f"{share:.0%} of the time of messages is Agent Zero's own work on the streams of models",
        f"{facts.layers[STREAM]:.1f} of {facts.message_seconds:.1f} s in {facts.messages} messages"
        + (f"; most: {facts.callbacks}" if facts.callbacks else ""),
        "a part of that; a faster model saves none of it",
        action,
    )


def clients(facts: Facts) -> Iterator[Recommendation]:
    """Messages that mostly go into litellm and openai, while the feature that spares them is off."""
    share = facts.share(CLIENT)
    if share >= 0.5 and not facts.on("client"):
        yield Recommendation(
            "model client dominates",
            "medium",
            f"{share:.0%} of the time of messages goes into the model client (litellm, openai, sockets)",
            f"{facts.layers[CLIENT]:.1f} of {facts.message_seconds:.1f} s in {facts.messages} messages",
            "a part of that; a faster model saves none of it",
            "AUTOPERF_FEATURES=+client",
        )


def prompts(facts: Facts) -> Iterator[Recommendation]:
    """Prompts that are long, or grow with every step of a chat."""
    latest = sorted(facts.prompts, key=lambda prompt: prompt.at)
    sizes = [prompt.tokens for prompt in latest[-_LATEST:]]
    if len(sizes) >= _CALLS and median(sizes) >= _LONG_PROMPT:
        yield Recommendation(
            "prompt too long",
            "medium",
            "Prompts are long",
            f"median {median(sizes):,.0f} input tokens over {len(sizes)} calls, by the provider's count",
            "time to the first token, and cost, in proportion",
            "a smaller context window in Agent Zero's settings of the chat model, or a new chat",
        )
    chats: dict[str, list[tuple[float, int]]] = {}
    for prompt in latest:
        chats.setdefault(prompt.chat, []).append((prompt.at, prompt.tokens))
    # Who has begun a new chat has done what is advised.
    for chat in dict.fromkeys(prompt.chat for prompt in latest[-_CALLS:]):
        rows = chats[chat]
        found = trend(list(range(len(rows))), [tokens for _, tokens in rows])
        if found is not None and found.grows and rows[-1][1] >= max(4 * rows[0][1], _LONG_PROMPT):
            yield Recommendation(
                "history grows",
                "medium",
                f"The history of chat {chat} grows without being compressed",
                f"from {rows[0][1]:,} to {rows[-1][1]:,} input tokens in {len(rows)} calls, about "
                f"{found.slope:,.0f} a call",
                "shorter prompts from the next message on",
                "begin a new chat, or set a smaller context window, at which Agent Zero compresses",
            )


def utility_model(facts: Facts) -> Iterator[Recommendation]:
    """A utility model that is slower than the one it is to spare."""
    roles = {
        role: [
            timing
            for timing in facts.timed(f"{names.CHAT} {role}")
            if timing.count >= _CALLS and facts.newest(timing.kind) in (None, timing.name)
        ]
        for role in _ROLES
    }
    if not all(roles.values()):
        return
    utility, chat = roles["utility"][0], roles["chat"][0]
    if utility.p50_ms > 3000 and utility.p50_ms > chat.p50_ms:
        yield Recommendation(
            "utility model slow",
            "medium",
            f"The utility model {utility.name} is slower than the chat model",
            f"median {utility.p50_ms / 1e3:.1f} s over {utility.count} calls, {chat.name} "
            f"{chat.p50_ms / 1e3:.1f} s over {chat.count}",
            f"about {(utility.p50_ms - chat.p50_ms) / 1e3:.1f} s a call that the agent waits for",
            "Agent Zero settings: a smaller, faster utility model",
        )


_ROLES: Final = ("chat", "utility")


def chats(facts: Facts) -> Iterator[Recommendation]:
    """Many chats, all of which are kept in memory and loaded at every start."""
    if facts.chats >= _MANY_CHATS:
        yield Recommendation(
            "many chats",
            "low",
            "Many chats are kept",
            f"{facts.chats} chats are loaded",
            "memory, and time at every start",
            "delete those that are over in Agent Zero's list of chats",
        )
