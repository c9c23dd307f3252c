"""What an agent remembers: its history, and the data that tools and extensions keep with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from helpers import extension
from helpers.chat import LoopData, UserMessage
from helpers.history import History, Message, MessageContent

if TYPE_CHECKING:
    from agent import Agent


class Memory:
    """The part of an agent that other code writes into; extensions see every message before it is kept."""

    loop_data: LoopData
    parse_prompt: Any

    def remember_nothing(self) -> None:
        """Begin with an empty memory."""
        self.history = History(self)
        self.last_user_message: Message | None = None
        self.data: dict[str, Any] = {}
        self.loop_data = LoopData()

    def get_data(self, field: str) -> Any:
        """Return a value that tools or extensions keep with the agent."""
        return self.data.get(field)

    def set_data(self, field: str, value: Any) -> None:
        """Keep a value with the agent."""
        self.data[field] = value

    @extension.extensible
    def hist_add_message(self, ai: bool, content: MessageContent, id: str = "") -> Message:
        """Append a message, after extensions have seen it."""
        agent, content_data = cast("Agent", self), {"content": content}
        extension.call_extensions_sync("hist_add_before", agent, content_data=content_data, ai=ai)
        return self.history.add_message(ai, content_data["content"], id)

    @extension.extensible
    def hist_add_user_message(self, message: UserMessage, intervention: bool = False) -> Message:
        """Append what the user said; it begins a topic."""
        self.history.new_topic()
        template = "fw.intervention.md" if intervention else "fw.user_message.md"
        content = self.parse_prompt(template, message=message.message)
        self.last_user_message = self.hist_add_message(False, content)
        return self.last_user_message

    @extension.extensible
    def hist_add_ai_response(self, message: str) -> Message:
        """Append a reply of the model."""
        self.loop_data.last_response = message
        return self.hist_add_message(True, message)

    @extension.extensible
    def hist_add_warning(self, message: MessageContent) -> Message:
        """Append something the model should know: an error, a misunderstanding."""
        return self.hist_add_message(False, self.parse_prompt("fw.warning.md", message=message))

    @extension.extensible
    def hist_add_tool_result(self, tool_name: str, tool_result: str, **kwargs: Any) -> Message:
        """Append a tool's answer, after extensions have seen it."""
        msg_id = kwargs.pop("id", "")
        data = {"tool_name": tool_name, "tool_result": tool_result, **kwargs}
        extension.call_extensions_sync("hist_add_tool_result", cast("Agent", self), data=data)
        return self.hist_add_message(False, data, msg_id)
