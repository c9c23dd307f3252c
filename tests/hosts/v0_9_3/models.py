"""The chat model: a script per model name, streamed in chunks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from python.helpers import journal


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


async def acompletion(script: Script, stream: bool) -> Any:
    reply = await script.next_reply()
    return _chunks(script, reply) if stream else {"choices": [{"message": {"content": reply}}]}


async def _chunks(script: Script, reply: str) -> AsyncIterator[dict[str, Any]]:
    """A reply may begin with what the model thinks, up to a record separator."""
    thoughts, _, text = reply.rpartition("\x1e")
    number, size, index = script.count, script.chunk, 0
    for kind, part in (("reasoning_content", thoughts), ("content", text)):
        for start in range(0, len(part), size):
            index += 1
            await script.before_chunk(number, index)
            await asyncio.sleep(0)
            yield {"choices": [{"delta": {kind: part[start : start + size]}}]}


def _parse_chunk(chunk: dict[str, Any]) -> dict[str, str]:
    delta = chunk["choices"][0]["delta"]
    return {
        "response_delta": delta.get("content") or "",
        "reasoning_delta": delta.get("reasoning_content") or "",
    }


class LiteLLMChatWrapper:
    provider, model_name = "scripted", "scripted/look-alike"

    def __init__(self, script: Script):
        self.script = script

    async def unified_call(
        self,
        messages: list[dict[str, Any]],
        response_callback: Callable[[str, str], Awaitable[Any]] | None = None,
        reasoning_callback: Callable[[str, str], Awaitable[Any]] | None = None,
    ) -> tuple[str, str]:
        journal.note("prompt", messages=messages)
        completion = await acompletion(self.script, stream=response_callback is not None)
        thoughts = full = ""
        async for chunk in completion:
            parsed = _parse_chunk(chunk)
            if parsed["reasoning_delta"]:
                thoughts += parsed["reasoning_delta"]
                if reasoning_callback:
                    await reasoning_callback(parsed["reasoning_delta"], thoughts)
            if parsed["response_delta"]:
                full += parsed["response_delta"]
                if response_callback:
                    await response_callback(parsed["response_delta"], full)
        return full, thoughts


def get_chat_model(name: str) -> LiteLLMChatWrapper:
    return LiteLLMChatWrapper(SCRIPTS[name])
