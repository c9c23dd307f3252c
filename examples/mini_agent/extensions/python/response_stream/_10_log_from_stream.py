"""The log follows the headline while the rest of the reply is still being written."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class LogFromStream(Extension):
    async def execute(self, loop_data: LoopData, text: str, parsed: dict[str, Any], **kwargs: Any) -> None:
        if self.agent and parsed.get("headline"):
            heading = f"{self.agent.agent_name}: {parsed['headline']}"
            loop_data.params_temporary["log_item"].update(heading=heading, thoughts=parsed.get("thoughts"))
