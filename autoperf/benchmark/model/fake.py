"""Stands in for the model's client inside a measured host: whole replies from the scripted server, cut here.

A copy of this file goes into the folder of the host, which imports it: nothing here may import autoperf.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

_TIMEOUT = 60.0
_HERE = Path(__file__)
# Pieces; as in `pace`: a shorter reply is over before a tenth of it could be told from the clock's noise, and
# before the last ones a host may stop listening, its request being complete.
_LONG, _TENTHS, _CLOSING = 2_000, 10, 32


async def acompletion(*, model: str, messages: Any, **options: Any) -> Any:
    """Like litellm's function of this name, for plain replies: an answer, or a stream of chunks, as dicts."""
    body = {"model": model, "messages": messages, "fake": True}
    text = _reply(str(options["api_base"]), body)
    if options.get("stream"):
        return _stream(text)
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


def _reply(base: str, body: dict[str, Any]) -> str:
    request = urllib.request.Request(
        f"{base}/chat/completions",
        json.dumps(body, default=str).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        answer = json.load(response)
    return str(answer["choices"][0]["message"]["content"])


async def _stream(text: str) -> AsyncIterator[dict[str, Any]]:
    size = int(_HERE.with_suffix(".size").read_text(encoding="utf-8"))
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    clock = _marked(len(pieces))
    for piece in pieces:
        next(clock, None)
        # As with a real client the event loop turns between two chunks.
        await asyncio.sleep(0)
        yield {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
    next(clock, None)
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def _marked(count: int) -> Iterator[None]:
    """Writes down this process's CPU clock at every tenth of a long reply; to be advanced once a piece."""
    if count < _LONG:
        return
    count -= _CLOSING
    stops = {count * tenth // _TENTHS for tenth in range(_TENTHS + 1)}
    marks = []
    for number in range(count + 1):
        if number in stops:
            marks.append((number, time.process_time()))
        if number == count:
            _HERE.with_suffix(".marks").write_text(json.dumps(marks), encoding="utf-8")
        yield
