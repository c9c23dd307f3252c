"""What a piece of a model's answer adds, and whether it may be the end of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

Kind = Literal["response", "reasoning"]
_BRACKETS: Final = ("}", "]")


def same_kind(chunk: Any, kind: Kind) -> bool:
    """Whether ``chunk`` certainly makes the host call the callback of ``kind``, as the one before it did.

    Where tags can stand among the text (``<think>``, ``</think>``), the host decides by them: no certainty.
    """
    response, reasoning = _parts(chunk)
    if response.startswith("<"):
        return False
    return bool(response and not reasoning) if kind == "response" else bool(reasoning and not response)


def may_complete(chunk: str, full: str) -> bool:
    """Whether a JSON object may end with this chunk: by a closing bracket, or white space after one."""
    if any(bracket in chunk for bracket in _BRACKETS):
        return True
    return chunk.isspace() and full.rstrip().endswith(_BRACKETS)


def _parts(chunk: Any) -> tuple[str, str]:
    """Response and reasoning text of a chunk of Chat Completions, or of one that was taken apart already."""
    if isinstance(chunk, Mapping) and "response_delta" in chunk:
        return _text(chunk, "response_delta"), _text(chunk, "reasoning_delta")
    choices = _value(chunk, "choices")
    if not isinstance(choices, list) or len(choices) != 1:
        return "", ""
    delta = _value(choices[0], "delta")
    return _text(delta, "content"), _text(delta, "reasoning_content")


def _value(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _text(holder: Any, name: str) -> str:
    value = _value(holder, name)
    return value if isinstance(value, str) else ""
