"""Which layer of the agent a span belongs to, and how the time of traces divides among the layers."""

from __future__ import annotations

from typing import Final

from autoperf.insight.shares import shares
from autoperf.insight.tree import Tree
from autoperf.telemetry import names

# In the order in which people read them.
LAYERS: Final = {
    "model": "model",
    "tools": "tools",
    "prompt": "prompt",
    "extensions": "extensions",
    "waiting": "waiting for the user",
    "agent": "the agent's own code",
}
_LAYER_OF: Final = {
    names.CHAT: "model",
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
}
EXPLANATION: Final = (
    "Wall-clock time: each moment counts for the innermost work that was going on, and work that ran side by "
    "side shares the moment equally, so the parts add up to the whole. Extensions that build the prompt "
    "count as prompt. What no other span covers is the agent's own code."
)


def operation(name: str) -> str:
    """The first word of a span's name: what was done, without what it was done to."""
    return name.split(" ", 1)[0]


def layer_of(name: str) -> str:
    """One of `LAYERS`, by a span's name."""
    return _LAYER_OF.get(operation(name), "agent")


def layers_of(tree: Tree) -> dict[str, str]:
    """The layer of every span, by its id: `layer_of`, but an extension that builds the prompt is prompt."""
    found: dict[str, str] = {}
    for node in tree.spans():
        layer = layer_of(node.name)
        above = found.get(node.parent.row.span_id) if node.parent else None
        found[node.row.span_id] = "prompt" if (layer, above) == ("extensions", "prompt") else layer
    return found


def seconds_by_layer(tree: Tree) -> dict[str, float]:
    """Seconds of the wall clock by layer, those with none left out; see `shares` for what they mean."""
    sums = dict.fromkeys(LAYERS, 0.0)
    share = shares(tree)
    for span_id, layer in layers_of(tree).items():
        sums[layer] += share[span_id] / 1e9
    return {layer: seconds for layer, seconds in sums.items() if seconds > 0}
