from python.helpers.extension import Extension


class LogFromStream(Extension):
    async def execute(self, loop_data=None, text="", parsed=None, **kwargs):
        using = f"Using {parsed['tool_name']}" if "tool_name" in parsed else "Receiving..."
        parsed["seen"] = True  # extensions may write into it: every chunk needs a dict of its own
        item = loop_data.params_temporary["log_item_generating"]
        item.update(heading=f"{self.agent.agent_name}: {using}", content=text, kvps=dict(parsed))
