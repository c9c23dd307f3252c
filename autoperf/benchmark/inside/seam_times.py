"""Times single seams of a host from inside it, and prints them as JSON.

Run by path, with the host's interpreter, in the host's folder; standard library only. Times are CPU seconds
of the whole process, our background thread included. Knows nothing of autoperf: the same script times the
bare host and the instrumented one.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import Any

POINT, EMPTY = "autoperf_benchmark_one", "autoperf_benchmark_empty"
BATCHES, BATCH_SECONDS, WARM_CALLS = 7, 0.04, 5


def main() -> None:
    """Print ``{seam: median nanoseconds per call}``."""
    sys.path.insert(0, os.getcwd())
    # A real text file: what the host imports may reconfigure it.
    with open(os.devnull, "w", encoding="utf-8") as away, redirect_stdout(away), redirect_stderr(away):
        times = measure()
    print(json.dumps(times))


def measure() -> dict[str, float]:
    """Every seam that this host has."""
    initialize, agent_module = import_module("initialize"), import_module("agent")

    config = initialize.initialize_agent()
    # An empty context is false in some generations, and made without a running loop in all of them.
    agent = agent_module.AgentContext(config).agent0
    if hasattr(agent, "loop_data"):
        del agent.loop_data
    seams: dict[str, Callable[[], Any]] = {}
    for tool in ("response", "code_execution_tool", "no_such_tool"):
        seams[f"get_tool {tool}"] = _lookup(agent, tool)
    paths = _paths(agent)
    if paths is not None:
        seams["get_paths"] = paths
    call = _extension_call(agent)
    seams["extension call, no extension"] = lambda: call(EMPTY)
    seams["extension call, one extension"] = lambda: call(POINT)
    seams["handle_intervention, idle"] = agent.handle_intervention
    seams |= _prompts(agent, agent_module)
    times = {}
    for name, seam in seams.items():
        times[name] = asyncio.run(_time(seam))
    return times


def _lookup(agent: Any, name: str) -> Callable[[], Any]:
    arguments: dict[str, Any] = {"name": name, "method": None, "args": {}, "message": ""}
    if "loop_data" in inspect.signature(type(agent).get_tool).parameters:
        arguments["loop_data"] = None
    return lambda: agent.get_tool(**arguments)


def _paths(agent: Any) -> Callable[[], Any] | None:
    """Where the tool for answers lies, asked as `get_tool` asks; None before v0.9.8."""
    for package, options in (("helpers", {}), ("python.helpers", {"default_root": "python"})):
        subagents: Any = sys.modules.get(f"{package}.subagents")
        if hasattr(subagents, "get_paths"):
            return lambda: subagents.get_paths(agent, "tools", "response.py", **options)
    return None


def _prompts(agent: Any, agent_module: Any) -> dict[str, Callable[[], Any]]:
    """The system prompt, a step's whole prompt and one prompt file."""
    package = "helpers" if os.path.isdir("helpers") else "python.helpers"
    try:
        runtime = import_module(f"{package}.runtime")
    except ModuleNotFoundError:
        return {}
    # As in a container: a development host would ask another one.
    sys.argv = [sys.argv[0], "--dockerized=true"]
    runtime.initialize()
    loop_data = agent_module.LoopData()

    async def prepare() -> None:
        agent.loop_data = loop_data
        await agent.prepare_prompt(loop_data)
        del agent.loop_data

    return {
        "read_prompt, main": lambda: agent.read_prompt("agent.system.main.md"),
        "system prompt": lambda: agent.get_system_prompt(loop_data),
        "prepare_prompt": prepare,
    }


def _extension_call(agent: Any) -> Callable[[str], Any]:
    if hasattr(agent, "call_extensions"):
        return lambda point: agent.call_extensions(point)
    extension = import_module("helpers.extension")
    # Looked up at every call, as the host does.
    return lambda point: extension.call_extensions_async(point, agent)


async def _time(seam: Callable[[], Any]) -> float:
    is_async = inspect.isawaitable(probe := seam())
    if is_async:
        await probe

    async def batch(count: int) -> float:
        started = time.process_time()
        if is_async:
            for _ in range(count):
                await seam()
        else:
            for _ in range(count):
                seam()
        return time.process_time() - started

    await batch(WARM_CALLS)
    # A file written a moment ago is not trusted by a cache that looks at its time.
    await asyncio.sleep(0.1)
    await batch(WARM_CALLS)
    per_call = await batch(WARM_CALLS) / WARM_CALLS
    count = max(1, int(BATCH_SECONDS / per_call))
    return statistics.median([await batch(count) / count for _ in range(BATCHES)]) * 1e9


if __name__ == "__main__":
    main()
