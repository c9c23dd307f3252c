"""Several tool calls at once: each runs in the background thread, in a chat of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from helpers import extract_tools
from helpers.defer import THREAD_BACKGROUND, DeferredTask
from helpers.extension import call_extensions_async
from helpers.log import LogItem

if TYPE_CHECKING:
    from agent import Agent

PARALLEL_JOBS_KEY = "_parallel_jobs"
PARALLEL_WORKER_JOB_KEY = "_parallel_job_id"
DEFAULT_MAX_CALLS = 8
DEFAULT_TIMEOUT_SECONDS = 300
DISALLOWED_PARALLEL_TOOLS = {"parallel", "call_subordinate", "response"}


@dataclass
class ParallelJob:
    """One call; it ends with either `result` or `error`."""

    id: str
    parent_context_id: str
    tool_name: str
    tool_args: dict[str, Any]
    log_item: LogItem = field(repr=False)
    result: str | None = None
    error: str | None = None
    deferred_task: DeferredTask | None = field(repr=False, default=None)

    @property
    def outcome(self) -> str:
        """What is told to the model."""
        return f"error: {self.error}" if self.error is not None else self.result or ""


def normalize_parallel_tool_calls(raw_calls: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return name and arguments of each call; raise ValueError for what cannot run side by side."""
    if not isinstance(raw_calls, list) or not 0 < len(raw_calls) <= DEFAULT_MAX_CALLS:
        raise ValueError(f"`tool_calls` must be a list of 1 to {DEFAULT_MAX_CALLS} tool calls")
    calls = [extract_tools.normalize_tool_request(raw) for raw in raw_calls]
    for name, _ in calls:
        if name in DISALLOWED_PARALLEL_TOOLS:
            raise ValueError(f"`{name}` cannot be used inside `parallel`")
    return calls


def is_parallel_worker(agent: Agent | None) -> bool:
    """Say whether the agent exists only to run one parallel job."""
    return agent is not None and agent.context.get_data(PARALLEL_WORKER_JOB_KEY) is not None


async def start_parallel_jobs(agent: Agent, calls: list[tuple[str, dict[str, Any]]]) -> list[ParallelJob]:
    """Begin all calls; their log entries are made here, in an order that no thread can change."""
    jobs: dict[str, ParallelJob] = agent.context.data.setdefault(PARALLEL_JOBS_KEY, {})
    started = []
    for tool_name, tool_args in calls:
        # Looked up for its log entry only: the worker makes the instance that is executed.
        tool = _resolve_parallel_tool(agent, tool_name, tool_args)
        job_id = f"{tool_name}-{len(jobs) + 1}"
        job = ParallelJob(job_id, agent.context.id, tool_name, tool_args, log_item=tool.get_log_object())
        jobs[job_id] = job
        job.deferred_task = DeferredTask(THREAD_BACKGROUND).start_task(_run_parallel_job, agent, job)
        started.append(job)
    return started


async def await_parallel_jobs(jobs: list[ParallelJob], timeout: float = DEFAULT_TIMEOUT_SECONDS) -> list[str]:
    """Wait, at most `timeout` seconds for each, and return the outcomes in the order of the calls."""
    for job in jobs:
        if job.deferred_task is not None:
            await job.deferred_task.result(timeout)
    return [f"{job.id}: {job.outcome}" for job in jobs]


async def _run_parallel_job(parent: Agent, job: ParallelJob) -> None:
    from agent import AgentContext, LoopData

    # Another agent in another chat: two threads must not write into one history.
    own_chat = AgentContext(config=replace(parent.config), id=f"{parent.context.id}/{job.id}")
    own_chat.set_data(PARALLEL_WORKER_JOB_KEY, job.id)
    worker = own_chat.agent0
    worker.loop_data = LoopData()
    try:
        job.result = await execute_tool_call(worker, job.tool_name, job.tool_args, log_item=job.log_item)
    except Exception as error:
        job.error = str(error)
    finally:
        AgentContext.remove(own_chat.id)


async def execute_tool_call(
    agent: Agent, tool_name: str, tool_args: dict[str, Any], *, log_item: LogItem | None = None
) -> str:
    """Execute one call with all that belongs to it and return its answer; exceptions pass through."""
    tool = _resolve_parallel_tool(agent, tool_name, tool_args)
    if log_item is not None:
        tool.get_log_object = lambda: log_item
    agent.loop_data.current_tool = tool
    try:
        await agent.handle_intervention()
        await tool.before_execution(**tool_args)
        await agent.handle_intervention()
        await call_extensions_async("tool_execute_before", agent, tool_args=tool_args, tool_name=tool_name)
        response = await tool.execute(**tool_args)
        await agent.handle_intervention()
        await call_extensions_async("tool_execute_after", agent, response=response, tool_name=tool_name)
        await tool.after_execution(response)
        await agent.handle_intervention()
        return str(response.message)
    finally:
        agent.loop_data.current_tool = None


def _resolve_parallel_tool(agent: Agent, tool_name: str, tool_args: dict[str, Any]) -> Any:
    from helpers.mcp_handler import MCPConfig

    tool = MCPConfig.get_instance().get_tool(agent, tool_name)
    if tool is None:
        tool = agent.get_tool(
            name=tool_name, method=None, args=tool_args, message="", loop_data=agent.loop_data
        )
    tool.args = dict(tool_args)
    return tool
