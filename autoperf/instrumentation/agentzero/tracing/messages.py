"""What goes to the model and comes back, in the shape that the GenAI conventions give to content."""

from __future__ import annotations

from typing import Any, Final

Message = dict[str, Any]

_ROLES: Final = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}
_PROMPT_PLACES: Final = ("system_message", "user_message", "messages")


def prompt(args: Any, kwargs: Any) -> list[Message]:
    """The prompt of a model call, from its arguments as the host gives them, before the host adds to them.

    ``unified_call(system_message, user_message, messages)``, ``call_utility_model(system, message)`` or
    ``call_chat_model(prompt)`` with a template of LangChain's.
    """
    template_first = bool(args) and not isinstance(args[0], str)
    places = ("prompt",) if template_first else _PROMPT_PLACES
    given = {**dict(zip(places, args, strict=False)), **kwargs}
    found = []
    system = given.get("system_message") or given.get("system")
    user = given.get("user_message") or given.get("message")
    template = given.get("prompt")
    if system:
        found.append(_message("system", system))
    for message in given.get("messages") or getattr(template, "messages", template) or []:
        found.append(_of_langchain(message))
    if user:
        found.append(_message("user", user))
    return found


def apart(found: list[Message]) -> tuple[list[Message], list[Message]]:
    """The parts of the system instructions, and the messages of the conversation."""
    system = [part for message in found if message["role"] == "system" for part in message["parts"]]
    return system, [message for message in found if message["role"] != "system"]


def output(result: Any, finish_reason: str) -> list[Message]:
    """The model's message, from what the host makes of it: text, text and reasoning, or an ``LLMResult``."""
    if isinstance(result, tuple):
        text, reasoning = (*result, "", "")[:2]
    elif isinstance(result, str):
        text, reasoning = result, ""
    else:
        text, reasoning = getattr(result, "response", ""), getattr(result, "reasoning", "")
    parts = [_part("reasoning", reasoning)] if reasoning else []
    calls = getattr(result, "function_calls", None)
    for call in calls if isinstance(calls, list) else []:
        arguments = getattr(call, "arguments", None)
        identity = getattr(call, "call_id", "")
        name = getattr(call, "name", "")
        parts.append({"type": "tool_call", "id": identity, "name": name, "arguments": arguments})
    if text and not (calls and isinstance(calls, list)):
        parts.append(_part("text", text))
    if not parts:
        return []
    return [{"role": "assistant", "parts": parts, "finish_reason": finish_reason or "unknown"}]


def _of_langchain(message: Any) -> Message:
    if isinstance(message, dict):
        return _message(str(message.get("role", "user")), message.get("content", ""))
    kind = str(getattr(message, "type", "user"))
    return _message(_ROLES.get(kind, kind), getattr(message, "content", ""))


def _message(role: str, content: Any) -> Message:
    blocks = content if isinstance(content, list) else [content]
    return {"role": role, "parts": [_block(block) for block in blocks]}


def _block(block: Any) -> dict[str, Any]:
    if isinstance(block, dict):
        kind = str(block.get("type", "text"))
        # Pictures and files are too large to be looked at here, and nobody can mask them.
        return _part("text", block.get("text", "")) if "text" in block else {"type": kind}
    return _part("text", block)


def _part(kind: str, text: Any) -> dict[str, Any]:
    return {"type": kind, "content": text if isinstance(text, str) else str(text)}
