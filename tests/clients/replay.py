"""Takes the corpus in through the real litellm and openai, and prints all that can be seen of it.

Run by path with an interpreter that has both: ``python replay.py [--instrumented] [--providers NAMES]``.
What is printed must be the same with and without ``--instrumented``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import traceback
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from corpus import ANSWERS, DROP, STALL

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_CLOCKED = {"created_at", "litellm_overhead_time_ms", "_response_ms", "_stream_created_time", "received_at"}
# Ids made up by litellm, ports, and times of today; those of the corpus are older.
_RANDOM = re.compile(
    r"(chatcmpl-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|127\.0\.0\.1:\d+|\b1[89]\d{8}\b|\b17[5-9]\d{7}\b"
)
# What litellm adds from a thread of its own, before or after the logger is called.
_LATE = {"complete_streaming_response"}
_SEEN = (
    "chunks",
    "response_uptil_now",
    "received_finish_reason",
    "intermittent_finish_reason",
    "response_id",
)
_STATE = (
    *_SEEN,
    "created",
    "system_fingerprint",
    "sent_first_chunk",
    "sent_last_chunk",
    "holding_chunk",
    "model",
)


class Server:
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.server: Any = None
        self.tasks: set[Any] = set()

    async def __aenter__(self) -> Server:
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"

    async def _answer(self, reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        await reader.readexactly(int(length.group(1)) if length else 0)
        writer.write(_HEAD)
        for part in self.parts:
            if part == DROP:
                writer.transport.abort()
                return
            if part == STALL:
                await asyncio.sleep(3)
                writer.transport.abort()
                return
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()


def shown(value: Any, depth: int = 0) -> Any:
    """Everything that ``value`` is made of, with its types, as plain data."""
    if depth > 12 or value is None or type(value) in (bool, int, float):
        return _RANDOM.sub("...", repr(value))
    if isinstance(value, str):
        return f"{type(value).__name__}: {_RANDOM.sub('...', value)}"
    if isinstance(value, dict):
        inner = [
            [key, "clock" if key in _CLOCKED else shown(part, depth + 1)] for key, part in list(value.items())
        ]
        return [type(value).__qualname__, inner]
    if isinstance(value, (list, tuple, set, frozenset)):
        parts: Iterable[Any] = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [type(value).__qualname__, [shown(part, depth + 1) for part in parts]]
    if hasattr(value, "__pydantic_fields_set__"):
        slots = [
            shown(getattr(value, n), depth + 1)
            for n in ("__dict__", "__pydantic_extra__", "__pydantic_private__")
        ]
        dumped = shown(value.model_dump(), depth + 1) if depth == 0 else ""
        fields = sorted(value.__pydantic_fields_set__)
        return [
            type(value).__module__,
            type(value).__qualname__,
            slots,
            fields,
            dumped,
            _RANDOM.sub("...", repr(value)),
        ]
    return type(value).__qualname__


def shared(chunks: list[Any]) -> list[str]:
    """Where neighbouring chunks hold the same object: a change to one would show in the other."""

    def owned(value: Any, path: str) -> dict[str, int]:
        if isinstance(value, dict):
            parts: Any = value.items()
        elif isinstance(value, list):
            parts = enumerate(value)
        elif hasattr(value, "__pydantic_fields_set__"):
            private = getattr(value, "__pydantic_private__", None)
            parts = [("dict", vars(value)), ("extra", value.__pydantic_extra__), ("private", private)]
            parts.append(("set", value.__pydantic_fields_set__))
        elif isinstance(value, set):
            return {path: id(value)}
        else:
            return {}
        found = {path: id(value)}
        for key, part in parts:
            found.update(owned(part, f"{path}.{key}"))
        return found

    paths = [owned(chunk, "") for chunk in chunks]
    return sorted({p for one, two in pairwise(paths) for p in one if two.get(p) == one[p]})


class Run:
    """One provider against the whole corpus."""

    def __init__(self, litellm: Any, server: Server, model: str) -> None:
        self.litellm, self.server, self.model = litellm, server, model

    async def ask(self, **more: Any) -> Any:
        options = {
            "api_base": self.server.url,
            "api_key": "k",
            "max_retries": 0,
            "timeout": 1.0,
            "stream": True,
        }
        messages = [{"role": "user", "content": "hello"}]
        return await self.litellm.acompletion(model=self.model, messages=messages, **{**options, **more})

    async def take(
        self, *, stop: int = -1, cancel: int = -1, change: bool = False, **more: Any
    ) -> dict[str, Any]:
        """Take one answer in; stop, be cancelled or change what was received after so many chunks."""
        chunks: list[Any] = []
        rows: list[Any] = []
        stream: Any = None
        error = ""
        try:
            stream = await self.ask(**more)
            async for chunk in stream:
                rows.append(shown(chunk))
                chunks.append(chunk)
                if change and chunk.choices:
                    chunk.choices[0].delta.content = f"changed {len(chunks)}"
                    chunk._hidden_params["mine"] = len(chunks)
                if len(chunks) == stop:
                    break
                if len(chunks) == cancel:
                    asyncio.current_task().cancel()  # type: ignore[union-attr]
        except BaseException as problem:
            error = _error(problem)
        after = await self._after(stream, stop >= 0 or cancel >= 0)
        # litellm's logging goes on in threads of its own.
        await asyncio.sleep(0.1)
        return {
            "chunks": rows,
            "shared": shared(chunks),
            "error": error,
            "after": after,
            "state": state(stream),
        }

    async def _after(self, stream: Any, left: bool) -> str:
        if not left:
            return ""
        try:
            return json.dumps(shown(await stream.__anext__()))
        except BaseException as problem:
            return _error(problem)


def _error(problem: BaseException) -> str:
    text = "".join(traceback.format_exception(type(problem), problem, problem.__traceback__))
    text = re.sub(r"time taken=[\d.]+", "time taken", text)
    text = re.sub(r'File "[^"]*replay.py", line \d+', "File replay.py", re.sub(r"0x[0-9a-f]+", "0x", text))
    return _RANDOM.sub("...", text)


def state(stream: Any) -> Any:
    return {name: shown(getattr(stream, name, None)) for name in _STATE}


async def run(litellm: Any, providers: list[str], names: list[str]) -> dict[str, Any]:
    """All of it, by provider and answer."""
    found: dict[str, Any] = {}
    async with Server() as server:
        for provider in providers:
            one = Run(litellm, server, provider)
            for name in names:
                server.parts = ANSWERS[name]
                found[f"{provider} {name}"] = await one.take()
        one = Run(litellm, server, providers[0])
        server.parts = ANSWERS["text"]
        found["stop"] = await one.take(stop=14)
        found["cancelled"] = await one.take(cancel=14)
        found["changed"] = await one.take(change=True)
        found["again"] = [await one.take() for _ in range(2)]
        server.parts = ANSWERS["openai"]
        found["usage"] = await one.take(stream_options={"include_usage": True})
        found["together"] = await asyncio.gather(*[one.take() for _ in range(3)])
        server.parts = ANSWERS["reasoning_content"]
        found["merged"] = await one.take(merge_reasoning_content_in_choices=True)
        found["logged"] = await _logged(litellm, server, one)
        found["refused"] = await _refused(litellm, server, one)
    return found


async def _logged(litellm: Any, server: Server, one: Run) -> Any:
    from litellm.integrations.custom_logger import CustomLogger

    seen: list[Any] = []

    class Mine(CustomLogger):  # type: ignore[misc]
        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            seen.append([shown(response_obj), sorted(set(kwargs) - _LATE)])

        async def async_log_failure_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            seen.append(["failed", sorted(set(kwargs) - _LATE), _error(kwargs["exception"])])

    litellm.callbacks = [Mine()]
    taken = []
    for name in ("text", "openai", "error"):
        server.parts = ANSWERS[name]
        taken.append(await one.take())
        await asyncio.sleep(0.5)
    litellm.callbacks = []
    return [seen, taken]


async def _refused(litellm: Any, server: Server, one: Run) -> Any:
    server.parts = ANSWERS["text"]
    litellm.post_call_rules = [lambda text: "14" not in text]
    try:
        return await one.take()
    finally:
        litellm.post_call_rules = []


def instrument() -> Any:
    """Put in place what the feature has, and nothing else."""
    from autoperf.instrumentation.agentzero.context import Probe
    from autoperf.instrumentation.clients.seams import rows
    from autoperf.patching.patch import Patch, PatchSet

    probe = Probe(None, "turn")
    patches = PatchSet([Patch(target, "client", build, foreign=True) for target, build in rows({}, probe)])
    patches.start()
    return probe, patches


def main() -> None:
    """Read the arguments, replay, print JSON: what was seen, and what autoperf counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--instrumented", action="store_true")
    parser.add_argument("--providers", default="openai/m")
    parser.add_argument("--answers", default="")
    options = parser.parse_args()
    ours = instrument() if options.instrumented else None
    import litellm

    litellm.suppress_debug_info = True
    names = options.answers.split(",") if options.answers else list(ANSWERS)
    found = asyncio.run(run(litellm, options.providers.split(","), names))
    counted: dict[str, Any] = {}
    if ours is not None:
        counted = {name: memo.as_row() for name, memo in ours[0].memos.items()}
        counted["patches"] = [row.as_row() for row in ours[1].rows]
    print(json.dumps({"found": found, "counted": counted}))


if __name__ == "__main__":
    main()
