"""The model: it answers from a script, in small chunks, and knows no more than the prompt it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import conversation
from helpers.llm_result import LLMResult, ResponseFunctionCall


@dataclass
class Usage:
    """What the provider counts; its tokens are words."""

    prompt_tokens: int
    completion_tokens: int


@dataclass
class Chunk:
    """A piece of the reply, and what it has cost so far."""

    text: str
    usage: Usage


@dataclass
class Completion:
    """A reply as it comes from the provider, read with `async for`."""

    text: str
    size: int
    prompt_tokens: int
    tool_calls: list[ResponseFunctionCall]
    chunks: list[Chunk] = field(default_factory=list)
    received_finish_reason: str | None = None

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        for end in range(self.size, len(self.text) + self.size, self.size):
            # A real stream waits for the network here, and other chats go on meanwhile.
            await asyncio.sleep(0)
            usage = Usage(self.prompt_tokens, len(self.text[:end].split()))
            self.chunks.append(Chunk(self.text[end - self.size : end], usage))
            if end >= len(self.text):
                self.received_finish_reason = "tool_calls" if self.tool_calls else "stop"
            yield self.chunks[-1]


async def acompletion(messages: list[dict[str, str]], tools: int, size: int, stream: bool) -> Completion:
    """Ask the provider, who has a script."""
    assert stream, "the script is always streamed"
    text, native = conversation.reply(messages, tools)
    calls = [ResponseFunctionCall(native["tool_name"], native["tool_args"], "call-1")] if native else []
    words = sum(len(message["content"].split()) for message in messages)
    return Completion(text, size, words, calls)


def _parse_chunk(chunk: Chunk) -> str:
    return chunk.text


class LiteLLMChatWrapper:
    """Streams the reply that `conversation` has for a prompt, `chunk` characters at a time."""

    provider = "scripted"
    model_name = "scripted/mini-1"

    def __init__(self, tools: int, chunk: int) -> None:
        self.tools = tools
        self.chunk = chunk
        self.prompts: list[dict[str, Any]] = []
        self._last: dict[str, list[dict[str, str]]] = {}

    async def unified_turn(
        self,
        messages: list[dict[str, str]],
        response_callback: Callable[[str, str], Awaitable[str | None]] | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Return the next reply; a text returned by `response_callback` ends the stream with that text."""
        self._record(messages)
        completion = await acompletion(messages, self.tools, self.chunk, stream=True)
        text = ""
        async for chunk in completion:
            delta = _parse_chunk(chunk)
            text += delta
            if response_callback:
                stopped = await response_callback(delta, text)
                if stopped is not None:
                    return LLMResult(response=stopped, function_calls=completion.tool_calls)
        return LLMResult(response=text, function_calls=completion.tool_calls)

    def _record(self, messages: list[dict[str, str]]) -> None:
        # Whole prompts grow with the square of the conversation: keep what this agent's last one had not.
        system = messages[0]["content"]
        previous = self._last.get(system, [])
        shared = 0
        while shared < min(len(previous), len(messages)) and previous[shared] == messages[shared]:
            shared += 1
        self._last[system] = list(messages)
        self.prompts.append({"begins_as_before": shared, "goes_on": messages[shared:]})
