"""Work handed to another agent."""

from dataclasses import replace
from typing import Any

from agent import Agent, UserMessage
from helpers.tool import Response, Tool


class Delegation(Tool):
    """Asks a subordinate with another profile; it is made once and keeps what it was told before."""

    async def execute(self, message: str = "", profile: str = "", **kwargs: Any) -> Response:
        subordinate: Agent | None = self.agent.get_data(Agent.DATA_NAME_SUBORDINATE)
        if subordinate is None:
            config = replace(self.agent.config, profile=profile)
            subordinate = Agent(self.agent.number + 1, config, self.agent.context)
            subordinate.set_data(Agent.DATA_NAME_SUPERIOR, self.agent)
            self.agent.set_data(Agent.DATA_NAME_SUBORDINATE, subordinate)
        subordinate.hist_add_user_message(UserMessage(message=message))
        return Response(message=await subordinate.monologue(), break_loop=False)
