"""Streamed answers as a provider may send them, well-formed or not; each a list of bytes to send."""

from __future__ import annotations

import json
from typing import Any

WORDS = [
    "Grüße ",
    "an ",
    "die\n",
    '"Welt" ',
    "\\n ",
    "日本",
    "語 ",
    "\t",
    "🙂 ",
    "{}",
    "<think>",
    "x" * 50,
    "</s>",
]
DROP = b"\0drop"
STALL = b"\0stall"


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One event; ``index``, ``logprobs`` and ``choices`` in ``more`` go where they belong."""
    choice = {"index": more.pop("index", 0), "delta": delta, "finish_reason": finish}
    for name in ("logprobs", "native_finish_reason"):
        if name in more:
            choice[name] = more.pop(name)
    base = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}
    return {**base, "choices": [choice], **more}


def sse(*events: Any, done: bool = True, **options: Any) -> list[bytes]:
    """As server-sent events; bytes among them are sent as they are."""
    sent = [e if isinstance(e, bytes) else f"data: {json.dumps(e, **options)}\n\n".encode() for e in events]
    return [*sent, b"data: [DONE]\n\n"] if done else sent


def texts(count: int = 20, **more: Any) -> list[dict[str, Any]]:
    """Events with pieces of text, no two neighbours alike."""
    return [event({"content": WORDS[n % len(WORDS)] + str(n)}, **more) for n in range(count)]


def _role(**more: Any) -> dict[str, Any]:
    return event({"role": "assistant", "content": ""}, **more)


def _called(name: str | None, arguments: str, index: int = 0) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments}
    call: dict[str, Any] = {"index": index, "function": function}
    if name:
        function["name"] = name
        call.update(id=f"call_{index}", type="function")
    return event({"tool_calls": [call]})


_STOP = event({}, "stop")
_CALLED = event({}, "tool_calls")
_USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
_TOP = {"content": "a", "top_logprobs": []}


def _reasoning(key: str) -> list[dict[str, Any]]:
    thoughts = [event({key: f"thought {n} "}) for n in range(12)]
    return [
        _role(),
        *thoughts,
        *[event({"content": None, key: f"more {n} "}) for n in range(12)],
        *texts(),
        _STOP,
    ]


def _openai() -> list[dict[str, Any]]:
    more = {"service_tier": "default", "system_fingerprint": "fp_1", "usage": None}
    padded = [
        event({"content": f"word{n} "}, obfuscation="p" * (n % 7 + 1) + str(n), **more) for n in range(30)
    ]
    last = {**event({}, None, **{**more, "usage": _USAGE}), "choices": []}
    return [_role(**more), *padded, event({}, "stop", obfuscation="abc", **more), last]


def _openrouter() -> list[dict[str, Any]]:
    def of(n: int) -> dict[str, Any]:
        delta = {
            "role": "assistant",
            "content": f"w{n} ",
            "reasoning": None,
            "reasoning_details": [{"a": [1]}],
        }
        return event(delta, provider="P", native_finish_reason=None, logprobs=None, system_fingerprint=None)

    return [
        *map(of, range(20)),
        event({"role": "assistant", "content": ""}, "stop", provider="P", usage=_USAGE),
    ]


def _changing() -> list[dict[str, Any]]:
    other = {"id": "chatcmpl-8", "created": 1_700_000_009, "model": "other"}
    first, second = texts(12), [{**e, **other} for e in texts(12)]
    printed = texts(12, system_fingerprint="fp_2")
    return [_role(), *first, *second, *printed, *texts(6), _STOP]


def _alternating() -> list[dict[str, Any]]:
    return [event({"content": f"t{n} "} if n % 2 else {"reasoning_content": f"r{n} "}) for n in range(40)]


def _with(name: str, value: Any) -> list[dict[str, Any]]:
    return [event({"content": f"w{n}", name: value}) for n in range(12)]


def _functions() -> list[dict[str, Any]]:
    return [event({"function_call": {"name": "f", "arguments": f"{n}"}}) for n in range(10)]


def _empty() -> list[dict[str, Any]]:
    odd = [event({"content": ""}), event({"content": None}), event({}), {**event({}), "choices": []}]
    return [_role(), *texts(8), *odd, *texts(8), *odd, *texts(8), _STOP]


def _interleaved() -> list[dict[str, Any]]:
    both = [
        {**event({}), "choices": [event({"content": f"{n}{i} "}, index=i)["choices"][0] for i in range(2)]}
        for n in range(12)
    ]
    return [*both, *[event({"content": f"c{n} "}, index=n % 2) for n in range(24)], _STOP]


_LONE = rb'data: {"id":"a","choices":[{"index":0,"delta":{"content":"\ud83d %d \u0000"}}]}' + b"\n\n"
_TWICE = b'data: {"id":"a","choices":[{"index":0,"delta":{"content":"one %d","content":"two %d"}}]}\n\n'
_FRAMED = b": comment\r\nevent: chunk\r\nid: %d\r\ndata: %b\r\n\r\n"
_LINES = b'data: {"id":"a","choices":[{"index":0,\ndata: "delta":{"content":"line %d"}}]}\n\n'
_BAD = b'data: {"id": "a", "choices": [{"index": 0, "delta": {"content": "b\n\n'
_CONTROL = b'data: {"id":"chatcmpl-7","choices":[{"index":0,"delta":{"content":"a\x01b"}}]}\n\n'
_ERROR = {"error": {"message": "overloaded", "type": "server_error", "code": 503}}

ANSWERS: dict[str, list[bytes]] = {
    "text": sse(_role(), *texts(40), _STOP),
    "ascii": sse(_role(), *texts(40), _STOP, separators=(",", ":"), ensure_ascii=False),
    "no end": sse(_role(), *texts(), done=False),
    "no finish": sse(_role(), *texts()),
    "reasoning_content": sse(*_reasoning("reasoning_content")),
    "reasoning": sse(*_reasoning("reasoning")),
    "both": sse(*[event({"content": f"c{n}", "reasoning_content": f"r{n}"}) for n in range(20)], _STOP),
    "alternating": sse(*_alternating(), _STOP),
    "openai": sse(*_openai()),
    "openrouter": sse(*_openrouter()),
    "role always": sse(*[event({"role": "assistant", "content": f"w{n} "}) for n in range(20)], _STOP),
    "usage always": sse(*texts(20, usage=_USAGE), _STOP),
    "usage late": sse(*texts(), _STOP, event({}, None, usage=_USAGE)),
    "text after the end": sse(*texts(), _STOP, *texts(6)),
    "length": sse(*texts(), event({"content": "last"}, "length")),
    "filtered": sse(*texts(), event({}, "content_filter")),
    "finish error": sse(*texts(), event({}, "error")),
    "finish always": sse(*[event({"content": f"w{n}"}, "stop") for n in range(12)]),
    "tools": sse(_role(), *texts(8), _called("f", ""), *[_called(None, f"a{n}") for n in range(12)], _STOP),
    "tools twice": sse(
        _called("f", "{}"), _called("g", "{", 1), *[_called(None, "}", 1)], event({}, "tool_calls")
    ),
    "function": sse(
        *[event({"function_call": {"name": "f", "arguments": f"{n}"}}) for n in range(10)], _STOP
    ),
    "interleaved": sse(*_interleaved()),
    "empty": sse(*_empty()),
    "changing": sse(*_changing()),
    "logprobs": sse(*texts(16, logprobs={"content": [_TOP]}), _STOP),
    "nested": sse(*texts(16, extra={"a": [1, {"b": None}]}, more=[1.5, True]), _STOP),
    "annotations": sse(*_with("annotations", [{"a": 1}]), _STOP),
    "fields": sse(
        *[event({"content": f"w{n}", "provider_specific_fields": {"k": 1}}) for n in range(12)], _STOP
    ),
    "audio": sse(*_with("audio", {"data": "x"}), _STOP),
    "list content": sse(*texts(8), event({"content": [{"type": "text", "text": "x"}]}), *texts(8), _STOP),
    "number content": sse(*texts(8), event({"content": 7}), *texts(8), _STOP),
    "repeated": sse(*texts(9), *[event({"content": "again"})] * 130, _STOP),
    "repeated short": sse(*texts(9), *[event({"content": "ab"})] * 130, _STOP),
    "error": sse(_role(), *texts(), _ERROR, *texts()),
    "error first": sse(_ERROR),
    "malformed": sse(_role(), *texts(), _BAD, *texts()),
    "control": sse(*texts(), _CONTROL, *texts()),
    "no object": sse(*texts(), [1, 2], "x", 3, None, *texts(), _STOP),
    "not utf-8": sse(*texts(), b'data: {"a": "\xff"}\n\n', *texts()),
    "lone": [*[_LONE % n for n in range(12)], *sse(_STOP)],
    "twice": [*[_TWICE % (n, n + 1) for n in range(12)], *sse(_STOP)],
    "lines": [*[_LINES % n for n in range(12)], *sse(_STOP)],
    "framed": [*[_FRAMED % (n, json.dumps(e).encode()) for n, e in enumerate(texts(12))], *sse(_STOP)],
    "thread": [b"event: thread.x\n" + part for part in sse(*texts(8), _STOP)],
    "halves": [half for part in sse(*texts(16), _STOP) for half in (part[:37], part[37:])],
    "dropped": [*sse(*texts(), done=False), DROP],
    "dropped first": [DROP],
    "stalled": [*sse(*texts(), done=False), STALL],
    "nothing": sse(),
    "empty body": [],
}
