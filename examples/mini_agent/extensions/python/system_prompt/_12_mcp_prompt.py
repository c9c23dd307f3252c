"""Which tools the servers add."""

from typing import Any

from helpers.extension import Extension
from helpers.mcp_handler import MCPConfig


class MCPToolsPrompt(Extension):
    async def execute(self, system_prompt: list[str], **kwargs: Any) -> None:
        tools = MCPConfig.get_for_agent(self.agent).get_tools()
        if self.agent and tools:
            lines = "\n".join(f"{tool['name']}: {tool['description']}" for tool in tools)
            system_prompt.append(self.agent.read_prompt("agent.system.mcp_tools.md", tools=lines))
