"""A turn ends with a line that says what it took."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension
from helpers.print_style import PrintStyle


class ReportTurn(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        if not self.agent:
            return
        counts = loop_data.params_persistent
        text = f"{counts['steps']} steps, {counts['chunks']} chunks"
        self.agent.context.log.log(type="info", heading=f"{self.agent.agent_name}: Turn ended", content=text)
        PrintStyle(self.agent.agent_name).print(f"({text})")
