"""What travels with a chat: its configuration, the user's messages, the state of one monologue."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any


@dataclass
class AgentConfig:
    chat_model: str = "main"
    profile: str = ""
    additional: dict[str, Any] = field(default_factory=dict)


@dataclass
class UserMessage:
    message: str
    attachments: list[str] = field(default_factory=list)
    system_message: list[str] = field(default_factory=list)


class LoopData:
    def __init__(self, **kwargs: Any):
        self.iteration = -1
        self.system: list[str] = []
        self.user_message: Any = None
        self.history_output: list[dict] = []
        self.extras_temporary: OrderedDict[str, Any] = OrderedDict()
        self.last_response = ""
        self.params_temporary: dict[str, Any] = {}
        self.current_tool: Any = None
        for key, value in kwargs.items():
            setattr(self, key, value)
