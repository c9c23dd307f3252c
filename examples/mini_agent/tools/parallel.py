"""Several independent tool calls, made at the same time."""

from typing import Any

from helpers import parallel_tools
from helpers.errors import RepairableException
from helpers.tool import Response, Tool


class Parallel(Tool):
    """`tool_calls` in, their answers out, in the same order."""

    async def execute(self, tool_calls: Any = None, **kwargs: Any) -> Response:
        try:
            calls = parallel_tools.normalize_parallel_tool_calls(tool_calls)
        except ValueError as error:
            raise RepairableException(str(error)) from error
        jobs = await parallel_tools.start_parallel_jobs(self.agent, calls)
        outcomes = await parallel_tools.await_parallel_jobs(jobs)
        return Response(message="\n".join(outcomes), break_loop=False)
