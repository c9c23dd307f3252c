"""A small host that asks its model as v0.9.2 and later do, patched with the wrappers for model calls."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing import model_calls
from autoperf.patching.patch import Patch, PatchSet, wrapping
from tests.recording import RecordedSpan, Recording

HOST = """
class InterventionException(Exception):
    pass

class Completion:
    received_finish_reason = None

    def __init__(self, texts):
        self.texts, self.chunks = texts, []

    def chunk_creator(self, chunk):
        return chunk if chunk.text else None

    async def __aiter__(self):
        for chunk in self.texts:
            made = self.chunk_creator(chunk=chunk)
            if made is not None:
                self.chunks.append(made)
                yield made
        self.received_finish_reason = "stop"

answers, requests, callbacks_seen = [], [], []

async def acompletion(model, stream, **kwargs):
    requests.append((model, stream, kwargs))
    answer = answers.pop(0)
    if isinstance(answer, Exception):
        raise answer
    return answer

def _parse_chunk(chunk):
    return chunk.text

class LiteLLMChatWrapper:
    provider = "openai"
    model_name = "openai/gpt-x"

    async def unified_call(
        self, system_message="", user_message="", messages=None, response_callback=None,
        reasoning_callback=None, tokens_callback=None, rate_limiter_callback=None, **kwargs
    ):
        callbacks_seen.append((response_callback, reasoning_callback, tokens_callback, rate_limiter_callback))
        messages = messages or []
        if system_message:
            messages.insert(0, {"role": "system", "content": system_message})
        stream = response_callback is not None or reasoning_callback is not None
        while True:
            got = False
            try:
                completion = await acompletion(self.model_name, stream=stream, **kwargs)
                if not stream:
                    return _parse_chunk(completion), ""
                full = ""
                async for chunk in completion:
                    got = True
                    full += _parse_chunk(chunk)
                    stopped = await response_callback(chunk.text, full) if response_callback else None
                    if stopped is not None:
                        return stopped, ""
                return full, ""
            except ConnectionError:
                if got:
                    raise

class Agent:
    agent_name = "A1"

    def __init__(self):
        self.context = type("Context", (), {"id": "chat-1"})()
        self.model = LiteLLMChatWrapper()

    async def call_chat_model(self, messages, response_callback=None):
        return await self.model.unified_call(messages=messages, response_callback=response_callback)

    async def call_utility_model(self, system, message, callback=None):
        return (await self.model.unified_call(system_message=system, user_message=message))[0]
"""

USAGE = SimpleNamespace(prompt_tokens=90, completion_tokens=6)


@contextmanager
def patched(tracing: Recording) -> Iterator[Any]:
    """The host as a module, its patches in place; undone at the end."""
    module: Any = types.ModuleType("a_small_host")
    exec(HOST, vars(module))
    sys.modules["a_small_host"] = module
    module.probe = probe = Probe(tracing)
    rows = {
        "LiteLLMChatWrapper.unified_call": wrapping(model_calls.call(probe)),
        "acompletion": wrapping(model_calls.request(probe)),
        "_parse_chunk": model_calls.chunk(probe),
        "Agent.call_chat_model": wrapping(model_calls.calling(probe, "chat")),
        "Agent.call_utility_model": wrapping(model_calls.calling(probe, "utility")),
    }
    module.patches = PatchSet([Patch(f"a_small_host:{name}", "trace", build) for name, build in rows.items()])
    module.patches.start()
    try:
        yield module
    finally:
        module.patches.stop()
        del sys.modules["a_small_host"]


def piece(text: str, **more: Any) -> SimpleNamespace:
    """A chunk of a stream."""
    return SimpleNamespace(text=text, **more)


def whole(text: str) -> SimpleNamespace:
    """An answer in one piece."""
    choices = [SimpleNamespace(finish_reason="stop")]
    return piece(text, choices=choices, usage=USAGE, model="gpt-x-2026")


async def follow(_delta: str, _full: str) -> None:
    """A callback that does nothing of note."""
    await asyncio.sleep(0)


def ask(host: Any, *answers: Any, callback: Any = follow) -> Any:
    """Let an agent of the host ask its chat model, which answers so."""
    host.answers.extend(answers)
    messages = [{"role": "user", "content": "hello"}]
    return asyncio.run(host.Agent().call_chat_model(messages, response_callback=callback))


def only(tracing: Recording) -> RecordedSpan:
    """The one span there is, which has ended."""
    (span,) = tracing.spans
    assert span.ended
    return span
