"""What the conventions ask of our spans, as tables: attributes that must be there, and from the beginning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from autoperf.telemetry import names


class Rule(NamedTuple):
    """For one operation: kind, the attributes that its name consists of, and those that must be there."""

    kind: str
    words: tuple[str, str]
    required: frozenset[str]


# OpenTelemetry semantic conventions for generative AI (status Development): what they call required, and what
# they require when it is available, as it always is here. `gen_ai.provider.name` of an agent is not: the host
# asks which model to use for every single call, and only then is there a provider.
RULES = {
    names.INVOKE_AGENT: Rule(
        names.INTERNAL,
        (names.OPERATION_NAME, names.AGENT_NAME),
        frozenset({names.OPERATION_NAME, names.AGENT_NAME, names.CONVERSATION_ID}),
    ),
    names.CHAT: Rule(
        names.CLIENT,
        (names.OPERATION_NAME, names.REQUEST_MODEL),
        frozenset({names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL}),
    ),
    names.EXECUTE_TOOL: Rule(
        names.INTERNAL,
        (names.OPERATION_NAME, names.TOOL_NAME),
        frozenset({names.OPERATION_NAME, names.TOOL_NAME, names.TOOL_TYPE}),
    ),
}

# Of the conventions for the Model Context Protocol, which a run only follows where it calls a server.
RULES_OF_MCP = {
    names.MCP_TOOLS_CALL: Rule(
        names.CLIENT, (names.MCP_METHOD, names.TOOL_NAME), frozenset({names.MCP_METHOD, names.TOOL_NAME})
    ),
}

# Samplers decide on what a span is created with.
FOR_SAMPLING = {
    names.INVOKE_AGENT: frozenset({names.OPERATION_NAME, names.AGENT_NAME, names.CONVERSATION_ID}),
    names.CHAT: frozenset(
        {
            names.OPERATION_NAME,
            names.PROVIDER_NAME,
            names.REQUEST_MODEL,
            names.AGENT_NAME,
            names.CONVERSATION_ID,
        }
    ),
    names.EXECUTE_TOOL: frozenset(
        {
            names.OPERATION_NAME,
            names.TOOL_NAME,
            names.TOOL_TYPE,
            names.AGENT_NAME,
            names.CONVERSATION_ID,
        }
    ),
}

_KINDS = {names.INTERNAL, names.CLIENT, names.SERVER, names.PRODUCER, names.CONSUMER}
_TEXTS = {value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)}
ATTRIBUTES = frozenset(text for text in _TEXTS if "." in text)
# A span's name is one of these, alone or followed by a blank and what it is about.
SPAN_NAMES = frozenset(_TEXTS - ATTRIBUTES - _KINDS - {names.DEFAULT_SERVICE})


def operation(name: str) -> str:
    """What kind of span this is: the first word of its name."""
    return name.partition(" ")[0]


def violations(spans: Iterable[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """One line for everything in ``spans`` (name, kind, attributes) that breaks a rule."""
    found = []
    for name, kind, attributes in spans:
        if operation(name) not in SPAN_NAMES:
            found.append(f"{name}: not a name of the table")
        found += [f"{name}: {key} is not in the table" for key in sorted(attributes.keys() - ATTRIBUTES)]
        rule = {**RULES, **RULES_OF_MCP}.get(operation(name))
        if rule is None:
            continue
        found += [f"{name}: {key} is missing" for key in sorted(rule.required - attributes.keys())]
        if kind != rule.kind:
            found.append(f"{name}: kind {kind}, not {rule.kind}")
        if name != " ".join(str(attributes.get(word)) for word in rule.words):
            found.append(f"{name}: not {' and '.join(rule.words)}")
    return found
