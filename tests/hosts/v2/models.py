"""The chat model: a script per model name, streamed in chunks."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from helpers import journal, litellm_transport
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
        transport = litellm_transport.LiteLLMTransport(self.script)
        thoughts = full = ""
        async for parsed in transport.astream():
            if parsed["reasoning_delta"]:
                thoughts += parsed["reasoning_delta"]
                if reasoning_callback:
                    await reasoning_callback(parsed["reasoning_delta"], thoughts)
            if parsed["response_delta"]:
                full += parsed["response_delta"]
                if response_callback:
                    stop = await response_callback(parsed["response_delta"], full)
                    if stop is not None:
                        return LLMResult(stop)
        return LLMResult(full, _native_calls(transport.function_calls))


def _native_calls(reply: str) -> list[FunctionCall]:
    """A reply of the form {"function_calls": [{"name", "arguments"}]} is a native one, not text."""
    if not reply.startswith('{"function_calls"'):
        return []
    calls = json.loads(reply)["function_calls"]
    return [FunctionCall(c["name"], c["arguments"], f"call_{i}") for i, c in enumerate(calls)]


def get_chat_model(name: str) -> LiteLLMChatWrapper:
    return LiteLLMChatWrapper(SCRIPTS[name])
