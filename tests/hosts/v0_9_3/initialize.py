"""The configuration agents start with."""

from agent import AgentConfig


def initialize_agent(chat_model: str = "main", profile: str = "") -> AgentConfig:
    return AgentConfig(chat_model=chat_model, profile=profile)
