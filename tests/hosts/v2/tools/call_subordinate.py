from agent import Agent, UserMessage
from initialize import initialize_agent
from helpers.tool import Response, Tool


class Delegation(Tool):
    async def execute(self, message="", reset="", **kwargs):
        if self.agent.get_data(Agent.DATA_NAME_SUBORDINATE) is None or str(reset).lower() == "true":
            config = initialize_agent(self.agent.config.chat_model)
            config.profile = kwargs.get("profile") or self.agent.config.profile
            sub = Agent(self.agent.number + 1, config, self.agent.context)
            sub.set_data(Agent.DATA_NAME_SUPERIOR, self.agent)
            self.agent.set_data(Agent.DATA_NAME_SUBORDINATE, sub)
        subordinate = self.agent.get_data(Agent.DATA_NAME_SUBORDINATE)
        subordinate.hist_add_user_message(UserMessage(message=message))
        return Response(message=await subordinate.monologue(), break_loop=False)
