"""The chat model: a script per model name, streamed in chunks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from helpers import journal, litellm_transport
from helpers.litellm_transport import ChatCompletionsTransport
from helpers.llm_result import FunctionCall, LLMResult


class Script:
    """Replies in order; whoever drives the host overrides the three hooks."""

    def __init__(self, replies: list[str], chunk: int = 24):
        self.replies, self.chunk, self.count = list(replies), chunk, 0

    async def before_reply(self, number: int) -> None: ...

    async def before_chunk(self, number: int, index: int) -> None: ...

    async def signal(self, name: str) -> None: ...

    async def next_reply(self) -> str:
        self.count += 1
        await self.before_reply(self.count)
        if self.replies:
            return self.replies.pop(0)
        text = f"script over {self.count}"
        return json.dumps({"tool_name": "response", "tool_args": {"text": text}})


SCRIPTS: dict[str, Script] = {}


async def signal(agent: Any, name: str) -> None:
    """Let the driver act in the middle of a tool."""
    await SCRIPTS[agent.config.chat_model].signal(name)


class LiteLLMChatWrapper:
    provider, model_name = "scripted", "scripted/look-alike"

    def __init__(self, script: Script):
        self.script = script

    async def unified_turn(
        self,
        messages: list[dict[str, Any]],
        response_callback: Callable[[str, str], Awaitable[Any]] | None = None,
        reasoning_callback: Callable[[str, str], Awaitable[Any]] | None = None,
    ) -> LLMResult:
        journal.note("prompt", messages=messages)
        reply, full = await litellm_transport.acompletion(self.script, stream=response_callback is not None), ""
        calls = _native_calls(reply)
        if calls:
            return LLMResult("", calls)
        number, size = self.script.count, self.script.chunk
        for index, start in enumerate(range(0, len(reply), size), 1):
            await self.script.before_chunk(number, index)
            await asyncio.sleep(0)
            delta = ChatCompletionsTransport.parse(reply[start : start + size])
            full += delta
            if response_callback:
                stop = await response_callback(delta, full)
                if stop is not None:
                    return LLMResult(stop)
        return LLMResult(full)


def _native_calls(reply: str) -> list[FunctionCall]:
    """A reply of the form {"function_calls": [{"name", "arguments"}]} is a native one, not text."""
    if not reply.startswith('{"function_calls"'):
        return []
    calls = json.loads(reply)["function_calls"]
    return [FunctionCall(c["name"], c["arguments"], f"call_{i}") for i, c in enumerate(calls)]


def get_chat_model(name: str) -> LiteLLMChatWrapper:
    return LiteLLMChatWrapper(SCRIPTS[name])
