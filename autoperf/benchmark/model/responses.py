"""The Responses wire format: a tool request becomes a function call where the client offers it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from autoperf.benchmark.model.completions import Piece, pieces

_CREATED = 1_700_000_000


def answer(body: dict[str, Any], text: str) -> dict[str, Any]:
    """The body of a reply that is not streamed."""
    return _response(body, "completed", [_finished(_item(body, text))])


def events(body: dict[str, Any], text: str, chunk_size: int) -> Iterator[str]:
    """The server-sent events of a streamed reply, from ``response.created`` to ``response.completed``."""
    item = _item(body, text)
    done = _finished(item)
    number = 0

    def event(kind: str, **fields: Any) -> str:
        nonlocal number
        payload = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return f"event: {kind}\ndata: {json.dumps(payload)}\n\n"

    yield event("response.created", response=_response(body, "in_progress", []))
    yield event("response.in_progress", response=_response(body, "in_progress", []))
    yield event("response.output_item.added", output_index=0, item=_empty(item))
    place = {"item_id": item["id"], "output_index": 0}
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"], chunk_size):
            yield Piece(event("response.function_call_arguments.delta", **place, delta=piece))
        yield event("response.function_call_arguments.done", **place, arguments=item["arguments"])
    else:
        part = {"type": "output_text", "text": "", "annotations": []}
        yield event("response.content_part.added", **place, content_index=0, part=part)
        for piece in pieces(text, chunk_size):
            delta = event("response.output_text.delta", **place, content_index=0, delta=piece, logprobs=[])
            yield Piece(delta)
        yield event("response.output_text.done", **place, content_index=0, text=text, logprobs=[])
        yield event("response.content_part.done", **place, content_index=0, part={**part, "text": text})
    yield event("response.output_item.done", output_index=0, item=done)
    yield event("response.completed", response=_response(body, "completed", [done]))


def _item(body: dict[str, Any], text: str) -> dict[str, Any]:
    offered = {tool.get("name") for tool in body.get("tools") or [] if tool.get("type") == "function"}
    try:
        request = json.loads(text)
    except ValueError:
        request = None
    # The place in the conversation makes the identifiers unique, and the same in every run.
    place = len(body["input"]) if isinstance(body.get("input"), list) else 0
    if isinstance(request, dict) and request.get("tool_name") in offered:
        return {
            "type": "function_call",
            "id": f"fc_scripted{place}",
            "call_id": f"call_scripted{place}",
            "name": request["tool_name"],
            "arguments": json.dumps(request.get("tool_args", {})),
        }
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": f"msg_scripted{place}", "role": "assistant", "content": content}


def _empty(item: dict[str, Any]) -> dict[str, Any]:
    blank: dict[str, Any] = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
    return {**item, **blank, "status": "in_progress"}


def _finished(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "status": "completed"}


def _response(body: dict[str, Any], status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    place = len(body["input"]) if isinstance(body.get("input"), list) else 0
    return {
        "id": f"resp_scripted{place}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "model": body.get("model", ""),
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        },
    }
