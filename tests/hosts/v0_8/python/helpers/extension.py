"""What every extension is made of; Agent.call_extensions loads and runs them."""

from abc import abstractmethod
from typing import Any

from agent import Agent
from python.helpers import journal


class Extension:
    def __init__(self, agent: Agent, *args: Any, **kwargs: Any):
        self.agent = agent
        self.kwargs = kwargs
        journal.note("extension", file=type(self).__module__, cls=type(self).__name__)

    @abstractmethod
    async def execute(self, **kwargs: Any) -> Any: ...
