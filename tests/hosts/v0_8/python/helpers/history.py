"""What the model is told again each step."""

from typing import Any

from . import journal


class Message:
    def __init__(self, ai: bool, content: Any):
        self.ai, self.content = ai, content

    def output(self) -> dict[str, Any]:
        return {"ai": self.ai, "content": self.content}


class History:
    def __init__(self, agent: Any):
        self.agent = agent
        self.messages: list[Message] = []

    def new_topic(self) -> None:
        journal.note("history.topic", agent=self.agent.agent_name)

    def add_message(self, ai: bool, content: Any, tokens: int = 0) -> Message:
        message = Message(ai, content)
        self.messages.append(message)
        journal.note("history", agent=self.agent.agent_name, **message.output())
        return message

    def output(self) -> list[dict[str, Any]]:
        return [message.output() for message in self.messages]

    async def compress(self) -> bool:
        """Too long a message is cut; nothing here is ever that long but what a scenario makes so."""
        compressed = False
        for message in self.messages:
            if isinstance(message.content, str) and len(message.content) > 20_000:
                message.content, compressed = message.content[:20_000], True
        return compressed
