"""The chat model: a script per model name, streamed in chunks."""

import asyncio
import json
from collections.abc import Awaitable, Callable
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


async def acompletion(script: Script, stream: bool) -> str:
    return await script.next_reply()


def _parse_chunk(chunk: str) -> str:
    return chunk


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
        reply, full = await acompletion(self.script, stream=response_callback is not None), ""
        number, size = self.script.count, self.script.chunk
        for index, start in enumerate(range(0, len(reply), size), 1):
            await self.script.before_chunk(number, index)
            await asyncio.sleep(0)
            delta = _parse_chunk(reply[start : start + size])
            full += delta
            if response_callback:
                await response_callback(delta, full)
        return full, ""


def get_chat_model(name: str) -> LiteLLMChatWrapper:
    return LiteLLMChatWrapper(SCRIPTS[name])
