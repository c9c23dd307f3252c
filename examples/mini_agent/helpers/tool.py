"""What every tool is made of."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from agent import Agent, LoopData
from helpers.log import LogItem


@dataclass
class Response:
    """A tool's answer; `break_loop` makes it the agent's answer to the user."""

    message: str
    break_loop: bool
    additional: dict[str, Any] | None = None


class Tool:
    """One call of a tool: made for it and thrown away after it."""

    def __init__(
        self,
        agent: Agent,
        name: str,
        method: str | None,
        args: dict[str, Any],
        message: str,
        loop_data: LoopData | None,
        **kwargs: Any,
    ) -> None:
        self.agent = agent
        self.name = name
        self.method = method
        self.args = args
        self.message = message
        self.loop_data = loop_data
        self.progress = ""

    @abstractmethod
    async def execute(self, **kwargs: Any) -> Response:
        """Do the work; a RepairableException is told to the model."""

    async def before_execution(self, **kwargs: Any) -> None:
        """Begin the call's log entry."""
        self.log = self.get_log_object()

    async def after_execution(self, response: Response, **kwargs: Any) -> None:
        """Put the answer into the history and the log."""
        text = response.message.strip()
        details = response.additional or {}
        self.agent.hist_add_tool_result(self.name, text, id=self.log.id, **details)
        self.log.update(content=text)

    def get_log_object(self) -> LogItem:
        """Return a new log entry for this call."""
        agent_name = self.agent.agent_name
        heading = f"{agent_name}: Using tool '{self.name}'"
        return self.agent.context.log.log(
            type="tool", heading=heading, kvps=dict(self.args), _tool_name=self.name, _agent=agent_name
        )
