from helpers import parallel_tools
from helpers.tool import Response, Tool


class ParallelTool(Tool):
    async def before_execution(self, **kwargs):
        self.log = None

    async def after_execution(self, response, **kwargs):
        extra = response.additional or {}
        self.agent.hist_add_tool_result(self.name, response.message.strip(), **extra)

    async def execute(self, tool_calls=None, **kwargs):
        try:
            calls = parallel_tools.normalize_parallel_tool_calls(tool_calls)
        except ValueError as wrong:
            return Response(message=f"Error: {wrong}", break_loop=False)
        jobs = await parallel_tools.start_parallel_jobs(self.agent, calls)
        results = await parallel_tools.await_parallel_jobs(self.agent, [job.id for job in jobs])
        return Response(message=parallel_tools.format_parallel_results(results), break_loop=False)
