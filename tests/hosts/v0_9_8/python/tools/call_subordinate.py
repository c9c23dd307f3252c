from agent import Agent, UserMessage
from initialize import initialize_agent
from python.helpers.tool import Response, Tool


class Delegation(Tool):
    async def execute(self, message="", reset="", **kwargs):
        chief = self.agent
        if str(reset).lower() == "true" or chief.get_data(Agent.DATA_NAME_SUBORDINATE) is None:
            settings = initialize_agent(chief.config.chat_model)
            settings.profile = kwargs.get("profile") or chief.config.profile
            junior = Agent(chief.number + 1, settings, chief.context)
            junior.set_data(Agent.DATA_NAME_SUPERIOR, chief)
            chief.set_data(Agent.DATA_NAME_SUBORDINATE, junior)
        junior = chief.get_data(Agent.DATA_NAME_SUBORDINATE)
        junior.hist_add_user_message(UserMessage(message=message))
        return Response(message=await junior.monologue(), break_loop=False)
