"""The terminal shows each tool's answer in one line."""

from typing import Any

from helpers import parallel_tools
from helpers.extension import Extension
from helpers.print_style import PrintStyle
from helpers.tool import Response


class ChatLine(Extension):
    async def execute(self, response: Response, tool_name: str = "", **kwargs: Any) -> None:
        # Workers answer in whatever order their threads finish; `parallel` itself shows what they said.
        if self.agent and not response.break_loop and not parallel_tools.is_parallel_worker(self.agent):
            PrintStyle(self.agent.agent_name).print(f"{tool_name}: {response.message}")
