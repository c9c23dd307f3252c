"""The configuration agents start with."""

from agent import AgentConfig


def initialize_agent(chat_model: str = "main", prompts_subdir: str = "") -> AgentConfig:
    return AgentConfig(chat_model=chat_model, prompts_subdir=prompts_subdir)
