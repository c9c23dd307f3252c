"""Which tools there are."""

from typing import Any

from helpers.extension import Extension


class ToolsPrompt(Extension):
    async def execute(self, system_prompt: list[str], **kwargs: Any) -> None:
        if self.agent:
            system_prompt.append(self.agent.read_prompt("agent.system.tools.md"))
