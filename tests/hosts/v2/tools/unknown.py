from extensions.python.system_prompt._10_system_prompt import get_tools_prompt
from helpers.tool import Response, Tool


class Unknown(Tool):
    async def execute(self, **kwargs):
        text = self.agent.read_prompt(
            "fw.tool_not_found.md", tool_name=self.name, tools=get_tools_prompt(self.agent)
        )
        return Response(message=text, break_loop=False)
