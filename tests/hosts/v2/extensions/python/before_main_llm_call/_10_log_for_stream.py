from helpers.extension import Extension


class LogForStream(Extension):
    async def execute(self, loop_data=None, **kwargs):
        item = self.agent.context.log.log(type="agent", heading=build_heading(self.agent, "Generating"))
        loop_data.params_temporary["log_item_generating"] = item


def build_heading(agent, text):
    return f"{agent.agent_name}: {text}"
