"""What a chat is made of: its settings, its messages, the state of one turn."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from helpers.history import Message, MessageContent
from helpers.log import Log


@dataclass
class AgentConfig:
    """What is the same for all turns of an agent; `additional` is for whoever provides the model."""

    profile: str = ""
    additional: dict[str, Any] = field(default_factory=dict)


@dataclass
class UserMessage:
    """What a user says, or a superior agent in his place."""

    message: str
    attachments: list[str] = field(default_factory=list)


class LoopData:
    """The state of one turn; extensions read it and write into it."""

    def __init__(self, **kwargs: Any) -> None:
        self.iteration = -1
        self.system: list[str] = []
        self.user_message: Message | None = None
        self.history_output: list[dict[str, str]] = []
        self.extras_temporary: dict[str, MessageContent] = {}
        self.extras_persistent: dict[str, MessageContent] = {}
        self.last_response = ""
        self.params_temporary: dict[str, Any] = {}
        self.params_persistent: dict[str, Any] = {}
        self.current_tool: Any = None
        vars(self).update(kwargs)


class Chat:
    """One chat with its log; all chats of the program are known by their ids."""

    _contexts: dict[str, Any] = {}
    _contexts_lock = threading.RLock()

    def __init__(self, config: AgentConfig, id: str | None = None) -> None:
        self.config = config
        self.data: dict[str, Any] = {}
        self.log = Log()
        self.paused = False
        with self._contexts_lock:
            self.id = id or f"chat-{len(self._contexts) + 1}"
            self._contexts[self.id] = self

    @staticmethod
    def get(id: str) -> Any:
        """Return a chat by its id, or None."""
        return Chat._contexts.get(id)

    @staticmethod
    def remove(id: str) -> Any:
        """Forget a chat and return it."""
        with Chat._contexts_lock:
            return Chat._contexts.pop(id, None)

    def get_data(self, key: str) -> Any:
        """Return a value that belongs to the chat."""
        return self.data.get(key)

    def set_data(self, key: str, value: Any) -> None:
        """Keep a value with the chat."""
        self.data[key] = value
