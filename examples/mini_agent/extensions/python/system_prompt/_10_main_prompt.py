"""Who the agent is; a profile replaces the part that says so."""

from typing import Any

from helpers.extension import Extension


class MainPrompt(Extension):
    async def execute(self, system_prompt: list[str], **kwargs: Any) -> None:
        if self.agent:
            system_prompt.append(self.agent.read_prompt("agent.system.main.md"))
