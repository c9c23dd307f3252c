"""What stands between the model wrapper and the client."""

from typing import Any


async def acompletion(script: Any, stream: bool) -> str:
    return await script.next_reply()


class ChatCompletionsTransport:
    @staticmethod
    def parse(chunk: str) -> str:
        return chunk
