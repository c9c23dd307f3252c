"""A tool that takes its time."""

import asyncio
from typing import Any

from helpers.tool import Response, Tool


class Pause(Tool):
    """Waits for `milliseconds`, as a tool does that asks something far away."""

    async def execute(self, milliseconds: int = 0, **kwargs: Any) -> Response:
        await asyncio.sleep(milliseconds / 1000)
        return Response(message=f"Waited {milliseconds} ms.", break_loop=False)
