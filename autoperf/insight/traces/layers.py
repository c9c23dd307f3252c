"""Which layer of the agent a span belongs to, and how the time of traces divides among the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from autoperf.insight.traces.self_time import shares
from autoperf.insight.traces.tree import Node, Tree, build
from autoperf.telemetry import names
from autoperf.telemetry.store.tables import SpanRow

PROVIDER: Final = "provider"
STREAM: Final = "stream"
CLIENT: Final = "client"
PAUSED: Final = "retry"
UNEXPLAINED: Final = "unexplained"
# In the order in which people read them.
LAYERS: Final = {
    PROVIDER: "waiting for the provider",
    STREAM: "framework on the stream",
    CLIENT: "model client",
    "tools": "tools",
    "prompt": "prompt",
    "extensions": "extensions",
    "waiting": "waiting for the user",
    PAUSED: "rate limits and retries",
    UNEXPLAINED: "unexplained",
}
_LAYER_OF: Final = {
    names.EXECUTE_TOOL: "tools",
    names.TOOL_LOOKUP: "tools",
    names.MCP_SESSION: "tools",
    names.MCP_CONNECT: "tools",
    names.MCP_TOOLS_CALL: "tools",
    names.MCP_TOOLS_LIST: "tools",
    names.PREPARE_PROMPT: "prompt",
    names.SYSTEM_PROMPT: "prompt",
    names.COMPRESS_HISTORY: "prompt",
    names.MEMORY_RECALL: "prompt",
    names.EXTENSIONS: "extensions",
    names.EXTENSION: "extensions",
    names.INTERVENTION: "waiting",
    names.RETRY: PAUSED,
}
# What a model call consists of: seconds of its span, by the clock and of CPU time where that is measured.
OF_A_CALL: Final = {
    PROVIDER: names.PROVIDER_SECONDS,
    STREAM: names.FRAMEWORK_SECONDS,
    CLIENT: names.CLIENT_SECONDS,
    PAUSED: names.PAUSED_SECONDS,
}
_CPU: Final = {STREAM: names.FRAMEWORK_CPU, CLIENT: names.CLIENT_CPU}
EXPLANATION: Final = (
    "Wall-clock time: each moment counts for the innermost work that was going on, and work that ran side by "
    "side shares the moment equally, so the parts add up to the whole. A model call is waiting for the "
    "provider while nothing runs, framework on the stream inside the host's callbacks and around its "
    "requests, and model client (litellm, openai, sockets, TLS) for the rest from the request on. Extensions "
    "that build the prompt count as prompt. Unexplained is what no span and no measurement covers."
)

Parts = dict[str, float]


def operation(name: str) -> str:
    """The first word of a span's name: what was done, without what it was done to."""
    return name.split(" ", 1)[0]


def layer_of(name: str) -> str:
    """One of `LAYERS`, by a span's name; of a model call only its measurements tell."""
    return _LAYER_OF.get(operation(name), UNEXPLAINED)


def call_seconds(attributes: Mapping[str, Any]) -> Parts:
    """Seconds by the clock that a model call's own measurements tell of; empty where it has none."""
    return _numbers(attributes, OF_A_CALL)


def _numbers(attributes: Mapping[str, Any], keys: Mapping[str, str]) -> Parts:
    found = {layer: attributes.get(key) for layer, key in keys.items()}
    return {layer: float(value) for layer, value in found.items() if isinstance(value, (int, float))}


def layers_of(tree: Tree) -> dict[str, str]:
    """The layer of every span, by its id; of a model call the one that took most of it.

    An extension that builds the prompt is prompt, one below a model call is framework on the stream.
    """
    found: dict[str, str] = {}
    for node in tree.spans():
        if operation(node.name) == names.CHAT:
            known = call_seconds(node.row.attributes)
            found[node.row.span_id] = max(known, key=known.__getitem__) if known else UNEXPLAINED
        else:
            found[node.row.span_id] = _below(node, layer_of(node.name), found)
    return found


def _below(node: Node, layer: str, known: Mapping[str, str]) -> str:
    above = node.parent
    if layer != "extensions" or above is None:
        return layer
    if operation(above.name) == names.CHAT or known.get(above.row.span_id) == STREAM:
        return STREAM
    return "prompt" if known.get(above.row.span_id) == "prompt" else layer


def parts_of(tree: Tree) -> dict[str, Parts]:
    """Nanoseconds that each span, by its id, has to itself (see `shares`), by layer."""
    layers, share = layers_of(tree), shares(tree)
    return {
        node.row.span_id: _of_call(node, share[node.row.span_id])
        if operation(node.name) == names.CHAT
        else {layers[node.row.span_id]: share[node.row.span_id]}
        for node in tree.spans()
    }


def _of_call(node: Node, own_ns: float) -> Parts:
    parts = {layer: seconds * 1e9 for layer, seconds in call_seconds(node.row.attributes).items()}
    if STREAM in parts:
        # Spans below were made by the host's own code, whose seconds leave a user's pauses out.
        inside = sum(one.duration_ns for one in node.children if operation(one.name) != names.INTERVENTION)
        parts[STREAM] = max(0.0, parts[STREAM] - inside)
    claimed = sum(parts.values())
    if claimed > own_ns:  # it shared its time with work beside it
        parts = {layer: ns * own_ns / claimed for layer, ns in parts.items()}
    return parts | {UNEXPLAINED: max(0.0, own_ns - claimed)}


def seconds_by_layer(tree: Tree) -> Parts:
    """Seconds of the wall clock by layer, those with none left out; see `shares` for what they mean."""
    sums = dict.fromkeys(LAYERS, 0.0)
    for parts in parts_of(tree).values():
        for layer, ns in parts.items():
            sums[layer] += ns / 1e9
    return {layer: seconds for layer, seconds in sums.items() if seconds > 0}


def with_sums(rows: Sequence[SpanRow]) -> Sequence[SpanRow]:
    """``rows`` of one trace, the layers of its model calls and what is unexplained added up on its root.

    Sums that the root has measured itself stand, as in a live export. Unchanged where the root is not
    recorded.
    """
    sums = root_sums(rows)
    return [
        row._replace(attributes={**sums, **row.attributes}) if sums and row.parent_id is None else row
        for row in rows
    ]


def root_sums(rows: Sequence[SpanRow]) -> dict[str, float]:
    """The seconds of these layers in the trace of ``rows``, by attribute; empty without its one root."""
    tree = build(rows)
    if not tree.complete:
        return {}
    seconds = seconds_by_layer(tree)
    keys = {**OF_A_CALL, UNEXPLAINED: names.UNEXPLAINED_SECONDS}
    return {key: round(seconds.get(layer, 0.0), 6) for layer, key in keys.items()}


def cpu_by_layer(tree: Tree) -> Parts:
    """CPU seconds of the agent's thread by layer: of the layers where they are measured."""
    sums: Parts = {}
    for node in tree.spans():
        if operation(node.name) != names.CHAT:
            continue  # a root has the sums
        for layer, seconds in _numbers(node.row.attributes, _CPU).items():
            sums[layer] = sums.get(layer, 0.0) + seconds
    return sums
