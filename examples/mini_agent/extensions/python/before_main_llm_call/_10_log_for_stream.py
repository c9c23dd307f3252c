"""The log shows that a reply is on its way before its first word is there."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class LogForStream(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        if self.agent:
            heading = f"{self.agent.agent_name}: Generating..."
            loop_data.params_temporary["log_item"] = self.agent.context.log.log(type="agent", heading=heading)
