"""What was said in a chat, and the form in which a model reads it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

MessageContent = str | dict[str, Any]


@dataclass
class Message:
    """One entry; `ai` tells the agent's own words from everything it is told."""

    ai: bool
    content: MessageContent
    id: str = ""
    topic: int = 0

    def output(self) -> dict[str, str]:
        """Return the entry as a chat message of a model."""
        text = self.content if isinstance(self.content, str) else json.dumps(self.content, ensure_ascii=False)
        return {"role": "assistant" if self.ai else "user", "content": text}


class History:
    """The messages of one agent, oldest first; a user message begins a new topic."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.messages: list[Message] = []
        self.topic = 0

    def new_topic(self) -> None:
        """Let the messages that follow belong together."""
        self.topic += 1

    def add_message(self, ai: bool, content: MessageContent, id: str = "") -> Message:
        """Append and return a message."""
        self.messages.append(Message(ai, content, id, self.topic))
        return self.messages[-1]

    def output(self) -> list[dict[str, str]]:
        """Return all messages as a model reads them."""
        return [message.output() for message in self.messages]

    def serialize(self) -> list[dict[str, Any]]:
        """Return all messages as plain data."""
        return [asdict(message) for message in self.messages]
