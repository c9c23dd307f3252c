"""The answer to the user."""

from typing import Any

from helpers.tool import Response, Tool


class ResponseTool(Tool):
    """`text` becomes the answer and ends the turn."""

    async def execute(self, text: str = "", **kwargs: Any) -> Response:
        return Response(message=text, break_loop=True)
