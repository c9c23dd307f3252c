"""The Chat Completions wire format: one reply as a JSON body or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

# Constant on purpose: an identifier or a time that changed from run to run could reach the transcript.
_ID = "chatcmpl-scripted"
_CREATED = 1_700_000_000


class Piece(str):
    """An event that carries a piece of the reply; the others frame it."""

    __slots__ = ()


def pieces(text: str, size: int) -> Iterator[str]:
    """``text`` in slices of ``size`` characters; nothing for an empty text."""
    return (text[start : start + size] for start in range(0, len(text), size))


def answer(model: str, text: str) -> dict[str, Any]:
    """The body of a reply that is not streamed."""
    message = {"role": "assistant", "content": text}
    return {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def events(model: str, text: str, chunk_size: int) -> Iterator[str]:
    """The server-sent events of a streamed reply, ``[DONE]`` included."""
    yield _event(model, {"role": "assistant", "content": ""}, None)
    for piece in pieces(text, chunk_size):
        yield Piece(_event(model, {"content": piece}, None))
    yield _event(model, {}, "stop")
    yield "data: [DONE]\n\n"


def _event(model: str, delta: dict[str, str], finish_reason: str | None) -> str:
    chunk = {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }
    return f"data: {json.dumps(chunk)}\n\n"
