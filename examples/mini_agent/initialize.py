"""What has to be there before the first message."""

from agent import AgentConfig
from helpers.mcp_handler import MCPConfig, MCPServerLocal
from models import LiteLLMChatWrapper

_METRES = {"m": 1.0, "km": 1000.0, "mile": 1609.344}


def convert(value: float, unit: str) -> str:
    """`value` in `unit` (m, km, mile), in metres"""
    return f"{value} {unit} = {value * _METRES[unit]:g} m"


def initialize_agent(tools: int = 20, chunk: int = 12) -> AgentConfig:
    """Return the configuration of a chat whose model asks for `tools` calls in each turn."""
    return AgentConfig(additional={"model": LiteLLMChatWrapper(tools=tools, chunk=chunk)})


def initialize_mcp() -> None:
    """Make the servers' tools known."""
    MCPConfig.update([MCPServerLocal("units", {"convert": convert})])
