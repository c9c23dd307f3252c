"""What a model gets that asks for a tool nobody has."""

from typing import Any

from helpers.tool import Response, Tool


class Unknown(Tool):
    """Names the tools there are."""

    async def execute(self, **kwargs: Any) -> Response:
        names = self.agent.read_prompt("fw.tool_not_found.md", tool_name=self.name)
        return Response(message=names, break_loop=False)
