"""Several tool calls at once, each in a background chat of its own on another loop thread."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from helpers import extract_tools
from helpers.defer import THREAD_BACKGROUND, DeferredTask
from helpers.extension import call_extensions_async
from helpers.print_style import PrintStyle

if TYPE_CHECKING:
    from agent import Agent

PARALLEL_JOBS_KEY = "_parallel_jobs"
POLL_INTERVAL_SECONDS = 0.01
TERMINAL_STATES = {"success", "error", "cancelled"}


@dataclass
class NormalizedToolCall:
    index: int
    tool_name: str
    tool_args: dict[str, Any]


@dataclass
class ParallelJob:
    id: str
    parent_context_id: str
    tool_name: str
    tool_args: dict[str, Any]
    state: str = "pending"
    result: str | None = None
    error: str | None = None
    log_item: Any = field(default=None, repr=False)
    deferred_task: DeferredTask | None = field(repr=False, default=None)


def normalize_parallel_tool_calls(raw_calls: Any) -> list[NormalizedToolCall]:
    if not isinstance(raw_calls, list) or not raw_calls:
        raise ValueError("`tool_calls` is a list of requests, and never empty")
    requests = [extract_tools.normalize_tool_request(raw) for raw in raw_calls]
    if any(name == "parallel" for name, _ in requests):
        raise ValueError("`parallel` does not run inside itself")
    return [NormalizedToolCall(index, name, dict(args)) for index, (name, args) in enumerate(requests)]


async def start_parallel_jobs(agent: "Agent", calls: list[NormalizedToolCall]) -> list[ParallelJob]:
    store: dict[str, ParallelJob] = agent.context.data.setdefault(PARALLEL_JOBS_KEY, {})
    jobs = []
    for call in calls:
        job = ParallelJob(f"{call.tool_name}-{len(store)}", agent.context.id, call.tool_name, call.tool_args)
        store[job.id] = job
        jobs.append(job)
        _log_parallel_child_started(agent, job)
        job.state = "running"
        job.deferred_task = DeferredTask(thread_name=THREAD_BACKGROUND)
        job.deferred_task.start_task(_run_parallel_job, agent.context.id, job.id)
    return jobs


async def await_parallel_jobs(agent: "Agent", job_ids: list[str]) -> list[dict[str, Any]]:
    jobs = [agent.context.data[PARALLEL_JOBS_KEY][job_id] for job_id in job_ids]
    while any(job.state not in TERMINAL_STATES for job in jobs):
        await asyncio.sleep(POLL_INTERVAL_SECONDS)
    return [{"job_id": j.id, "state": j.state, "result": j.result, "error": j.error} for j in jobs]


def format_parallel_results(results: list[dict[str, Any]]) -> str:
    return json.dumps({"jobs": results})


async def _run_parallel_job(parent_context_id: str, job_id: str) -> None:
    from agent import AgentContext

    parent = AgentContext.get(parent_context_id)
    job = parent.get_data(PARALLEL_JOBS_KEY)[job_id]
    try:
        job.result = await _run_direct_tool_job(parent_context_id, job)
        state = "success"
    except asyncio.CancelledError:
        job.error, job.state = "the job was cancelled", "cancelled"
        raise
    except Exception as exc:
        job.error, state = str(exc), "error"
        PrintStyle().print(f"{job.id} raised: {exc}")
    job.log_item.update(content=job.result if state == "success" else f"Error: {job.error}")
    job.state = state  # last: the parent stops waiting when it sees it


async def _run_direct_tool_job(parent_context_id: str, job: ParallelJob) -> str:
    from agent import AgentContext, LoopData
    from helpers import journal

    journal.CHAT.set(job.id)
    parent = AgentContext.get(parent_context_id)
    worker = AgentContext(config=replace(parent.config), id=f"{parent.id}/{job.id}", name=job.id)
    worker.set_data("project", parent.get_data("project"))
    worker.agent0.loop_data = LoopData()
    try:
        return await execute_tool_call(worker.agent0, job.tool_name, job.tool_args, log_item=job.log_item)
    finally:
        AgentContext.remove(worker.id)


async def execute_tool_call(
    agent: "Agent", tool_name: str, tool_args: dict[str, Any], *, log_item: Any = None
) -> str:
    tool = _resolve_parallel_tool(agent, tool_name, tool_args, strict=True)
    if not tool:
        raise ValueError(f"'{tool_name}' was not found, and nothing stands in for it")
    if log_item is not None:
        tool.get_log_object = lambda: log_item
    agent.loop_data.current_tool = tool
    try:
        await agent.handle_intervention()
        await tool.before_execution(**tool_args)
        await agent.handle_intervention()
        await call_extensions_async(
            "tool_execute_before", agent, tool_args=tool_args or {}, tool_name=tool_name
        )
        response = await tool.execute(**tool_args)
        await agent.handle_intervention()
        await call_extensions_async("tool_execute_after", agent, response=response, tool_name=tool_name)
        await tool.after_execution(response)
        await agent.handle_intervention()
        return response.message
    finally:
        agent.loop_data.current_tool = None


def _resolve_parallel_tool(
    agent: "Agent", tool_name: str, tool_args: dict[str, Any], *, strict: bool = False
):
    import helpers.mcp_handler as mcp_helper

    request = json.dumps({"tool_name": tool_name, "tool_args": tool_args})
    tool = None
    try:
        servers = mcp_helper.MCPConfig.get_instance()
        tool = servers.get_tool(agent, tool_name)
        if not tool:
            tool = agent.get_tool(
                name=tool_name,
                method=None,
                args=tool_args,
                message=request,
                loop_data=getattr(agent, "loop_data", None),
            )
    except Exception as exc:
        if strict:
            raise
        PrintStyle().print(f"No '{tool_name}' for a job: {exc}")
    if tool:
        tool.args = dict(tool_args)
    return tool


def _log_parallel_child_started(agent: "Agent", job: ParallelJob) -> None:
    # a lookup that is no execution: the tool is only asked for its log item
    asked = _resolve_parallel_tool(agent, job.tool_name, job.tool_args)
    if asked is not None:
        job.log_item = asked.get_log_object()
    else:
        job.log_item = agent.context.log.log(type="tool", heading=f"calls '{job.tool_name}'")
