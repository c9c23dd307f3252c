"""What every tool is made of."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from agent import Agent, LoopData
from python.helpers.print_style import PrintStyle


@dataclass
class Response:
    message: str
    break_loop: bool
    additional: dict[str, Any] | None = None


class Tool:
    def __init__(
        self,
        agent: Agent,
        name: str,
        method: str | None,
        args: dict[str, str],
        message: str,
        loop_data: LoopData | None,
        **kwargs: Any,
    ) -> None:
        self.agent = agent
        self.name = name
        self.method = method
        self.args = args
        self.loop_data = loop_data
        self.message = message
        self.progress: str = ""

    def set_progress(self, content: str | None) -> None:
        self.progress = content or ""

    def add_progress(self, content: str | None) -> None:
        self.progress += content or ""

    @abstractmethod
    async def execute(self, **kwargs: Any) -> Response: ...

    async def before_execution(self, **kwargs: Any):
        PrintStyle(bold=True).print(f"{self.agent.agent_name} calls '{self.name}'")
        self.log = self.get_log_object()
        for key, value in self.args.items():
            PrintStyle().stream(f"{key}: {value}")

    async def after_execution(self, response: Response, **kwargs: Any):
        answer = response.message.strip()
        extra = response.additional or {}
        self.agent.hist_add_tool_result(self.name, answer, **extra)
        PrintStyle().print(f"'{self.name}' answered {self.agent.agent_name}: {answer}")
        self.log.update(content=answer)

    def get_log_object(self):
        name = f"{self.name}:{self.method}" if self.method else self.name
        heading = f"{self.agent.agent_name} calls '{name}'"
        log = self.agent.context.log
        return log.log(type="tool", heading=heading, content="", kvps=self.args)
