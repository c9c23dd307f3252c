"""A client in the shape of litellm over openai, as small as it can be, and modules that show it as them."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

from autoperf.memo.counters import Lookups

calls = {"json": 0, "chunk": 0, "loops": 0}
verbose_logger = logging.getLogger("lookalike")
litellm: Any = ModuleType("litellm")


class Model:
    """The parts of a pydantic model; attributes beside its fields are extra."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
    model_fields: dict[str, Any] = {}

    def __init__(self, fields: dict[str, Any], extra: dict[str, Any], private: Any = None) -> None:
        self.__dict__.update(fields)
        self.__pydantic_extra__ = extra
        self.__pydantic_private__ = private
        self.__pydantic_fields_set__ = set(fields)

    def __getattr__(self, name: str) -> Any:
        for part in (self.__pydantic_extra__, self.__pydantic_private__ or {}):
            if name in part:
                return part[name]
        raise AttributeError(name)


class ChatCompletionChunk(Model):
    """What openai makes of an event."""


class Event:
    """One server-sent event."""

    def __init__(self, data: str, event: str | None = None) -> None:
        self._data, self._event = data, event

    def json(self) -> Any:
        calls["json"] += 1
        return json.loads(self._data)


class Client:
    """Makes objects of data."""

    _strict_response_validation = False

    def _process_response_data(self, *, data: Any, cast_to: Any, response: Any) -> Any:
        choices = [
            Model({"index": 0, "delta": Model(c["delta"], {}), "finish_reason": c["finish_reason"]}, {})
            for c in data["choices"]
        ]
        known = {"id": data["id"], "choices": choices}
        return cast_to(known, {k: v for k, v in data.items() if k not in known})


class AsyncStream:
    """openai's stream of events."""

    def __init__(self, events: Iterable[Event], client: Client) -> None:
        self._client = client
        self._cast_to = ChatCompletionChunk
        self._events = iter(events)
        self.response = None
        self._iterator = self.__stream__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        calls["loops"] += 1
        async for item in self._iterator:
            yield item

    async def _iter_events(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event

    async def __stream__(self) -> AsyncIterator[Any]:
        process_data = self._client._process_response_data
        async for sse in self._iter_events():
            if sse._data == "[DONE]":
                break
            data = sse.json()
            if data.get("error"):
                raise RuntimeError(data["error"])
            yield process_data(data=data, cast_to=self._cast_to, response=self.response)


class Wrapper:
    """litellm's stream of chunks."""

    def __init__(self, stream: Any, provider: str = "openai") -> None:
        self.completion_stream = stream
        self.custom_llm_provider = provider
        self.model = "m"
        self.response_id: Any = None
        self.created = self.system_fingerprint = self.stream_options = None
        self.received_finish_reason: Any = None
        self.intermittent_finish_reason: Any = None
        self.sent_first_chunk = self.sent_last_chunk = False
        self.holding_chunk = ""
        self.merge_reasoning_content_in_choices = self.sent_first_thinking_block = self.tool_call = False
        self._hidden_params = {"base": 1}
        self.chunks: list[Any] = []

    def safety_checker(self) -> None:
        limit = litellm.REPEATED_STREAMING_CHUNK_LIMIT
        last = [chunk.choices[0].delta.content for chunk in self.chunks[-limit:]]
        if len(last) == limit and len(set(last)) == 1:
            raise RuntimeError(f"repeating {last[0]}")

    def chunk_creator(self, chunk: Any) -> Any:
        calls["chunk"] += 1
        self.response_id = chunk.id
        self.received_finish_reason = chunk.choices[0].finish_reason
        self.safety_checker()
        delta = {**vars(chunk.choices[0].delta)}
        if not self.sent_first_chunk:
            delta["role"], self.sent_first_chunk = "assistant", True
        choice = Model({"delta": Model({}, delta)}, {})
        hidden = {**self._hidden_params, "created_at": time.time()}
        print_verbose(f"made {choice}")
        return Model(
            {"id": chunk.id, "choices": [choice]}, {**chunk.__pydantic_extra__}, {"_hidden_params": hidden}
        )

    async def __anext__(self) -> Any:
        async for chunk in self.completion_stream:
            verbose_logger.debug(f"chunk {chunk}")
            made = self.chunk_creator(chunk=chunk)
            if made is None:
                continue
            self.chunks.append(made)
            return made
        raise StopAsyncIteration

    def __aiter__(self) -> Any:
        return self


def print_verbose(line: str) -> None:
    if litellm.set_verbose:
        print(line)


NAMES = {
    "openai": [
        "openai._streaming:AsyncStream.__stream__",
        "openai._base_client:Client._process_response_data",
    ],
    "litellm": [
        f"litellm.litellm_core_utils.streaming_handler:CustomStreamWrapper.{name}"
        for name in ("__anext__", "chunk_creator", "safety_checker")
    ],
}


def modules() -> dict[str, ModuleType]:
    """The look-alike's parts under the names of what they look like; classes of their own every time."""
    handler = ModuleType("litellm.litellm_core_utils.streaming_handler")
    handler.CustomStreamWrapper = type("CustomStreamWrapper", (), dict(vars(Wrapper)))  # type: ignore[attr-defined]
    streaming = ModuleType("openai._streaming")
    members = {k: v for k, v in vars(AsyncStream).items() if k not in ("__dict__", "__weakref__")}
    streaming.AsyncStream = type("AsyncStream", (), members)  # type: ignore[attr-defined]
    base = ModuleType("openai._base_client")
    base.Client = Client  # type: ignore[attr-defined]
    litellm.set_verbose, litellm._custom_providers = False, []
    litellm.verbose_logger = verbose_logger
    litellm.REPEATED_STREAMING_CHUNK_LIMIT = 100
    return {m.__name__: m for m in (litellm, handler, streaming, base)}


def stream(*events: Any, provider: str = "openai") -> Any:
    """A wrapper of `sys.modules` over a stream of ``events``, texts or what JSON can hold."""
    made = [Event(e if isinstance(e, str) else json.dumps(e)) for e in events]
    inner = sys.modules["openai._streaming"].AsyncStream(made, Client())
    handler = sys.modules["litellm.litellm_core_utils.streaming_handler"]
    return handler.CustomStreamWrapper(inner, provider)


def shown(chunk: Any) -> Any:
    """All of a chunk, but for the clock."""
    if isinstance(chunk, Model):
        parts = (vars(chunk), chunk.__pydantic_extra__, chunk.__pydantic_private__)
        return [type(chunk).__name__, [shown(part) for part in parts], sorted(chunk.__pydantic_fields_set__)]
    if isinstance(chunk, dict):
        return [[key, "" if key == "created_at" else shown(value)] for key, value in chunk.items()]
    return [shown(part) for part in chunk] if isinstance(chunk, list) else chunk


def probe() -> Any:
    """Keeps counters as the host's probe does."""
    kept: dict[str, Lookups] = {}
    return SimpleNamespace(memo=lambda name: kept.setdefault(name, Lookups()), kept=kept)
