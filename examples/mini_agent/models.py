"""The model: it answers from a script, in small chunks, and knows no more than the prompt it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import conversation
from helpers.llm_result import LLMResult, ResponseFunctionCall


class ScriptedModel:
    """Streams the reply that `conversation` has for a prompt, `chunk` characters at a time."""

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
        text, native = conversation.reply(messages, self.tools)
        calls = [ResponseFunctionCall(native["tool_name"], native["tool_args"], "call-1")] if native else []
        for end in range(self.chunk, len(text) + self.chunk, self.chunk):
            # A real stream waits for the network here, and other chats go on meanwhile.
            await asyncio.sleep(0)
            if response_callback:
                stopped = await response_callback(text[end - self.chunk : end], text[:end])
                if stopped is not None:
                    return LLMResult(response=stopped, function_calls=calls)
        return LLMResult(response=text, function_calls=calls)

    def _record(self, messages: list[dict[str, str]]) -> None:
        # Whole prompts grow with the square of the conversation: keep what this agent's last one had not.
        system = messages[0]["content"]
        previous = self._last.get(system, [])
        shared = 0
        while shared < min(len(previous), len(messages)) and previous[shared] == messages[shared]:
            shared += 1
        self._last[system] = list(messages)
        self.prompts.append({"begins_as_before": shared, "goes_on": messages[shared:]})
