"""What stands between the model wrapper and the client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any


async def acompletion(script: Any, stream: bool) -> Any:
    reply = await script.next_reply()
    return _chunks(script, reply) if stream else {"choices": [{"message": {"content": reply}}]}


async def _chunks(script: Any, reply: str) -> AsyncIterator[dict[str, Any]]:
    """A reply may begin with what the model thinks, up to a record separator; native calls are none of text."""
    thoughts, _, text = reply.rpartition("\x1e")
    if text.startswith('{"function_calls"'):
        yield {"choices": [{"delta": {"function_calls": text}}]}
        return
    number, size, index = script.count, script.chunk, 0
    for kind, part in (("reasoning_content", thoughts), ("content", text)):
        for start in range(0, len(part), size):
            index += 1
            await script.before_chunk(number, index)
            await asyncio.sleep(0)
            yield {"choices": [{"delta": {kind: part[start : start + size]}}]}


class ChatCompletionsTransport:
    @staticmethod
    def parse(chunk: dict[str, Any]) -> dict[str, str]:
        delta = chunk["choices"][0]["delta"]
        return {
            "response_delta": delta.get("content") or "",
            "reasoning_delta": delta.get("reasoning_content") or "",
        }


class LiteLLMTransport:
    def __init__(self, script: Any):
        self.script, self.function_calls = script, ""

    async def astream(self) -> AsyncIterator[dict[str, str]]:
        async for chunk in await acompletion(self.script, stream=True):
            self.function_calls = chunk["choices"][0]["delta"].get("function_calls", "")
            parsed = ChatCompletionsTransport.parse(chunk)
            if parsed["response_delta"] or parsed["reasoning_delta"]:
                yield parsed
