"""Tool look-ups, and the host's passes through its tool processing: counted, timed, traced."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.context import Probe, Step, restore
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.tracing.tool_execution import watch
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_method
from autoperf.telemetry import names
from autoperf.telemetry.redaction import short, shown, shown_name, source_of


def lookup(probe: Probe, code: CodeCache | None) -> Callable[[Any, Switch], Any]:
    """For ``Agent.get_tool(name, ...)`` of every generation and fork; ``code`` tells what had to be read."""

    def found(agent: Any, tool: Any, name: Any, before: int, started: int) -> None:
        hit = None
        if code is not None:
            hit = code.reads() == before
            probe.tool_lookups.count(hit=hit)
        if started:
            attributes = _attributes(probe, agent, tool, name, hit)
            probe.record(names.TOOL_LOOKUP, started, time.time_ns(), attributes)
        watch(probe, tool, name, kind="function")

    def build(original: Any, _switch: Switch) -> Any:
        expect_method(original)

        def get_tool(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            before = code.reads() if code is not None else 0
            started = time.time_ns() if probe.tracing is not None else 0
            tool = call(*args, **kwargs)
            name = kwargs["name"] if "name" in kwargs else args[1] if len(args) > 1 else ""
            found(args[0], tool, name, before, started)
            return tool

        return get_tool

    return build


def _attributes(probe: Probe, agent: Any, tool: Any, name: Any, hit: bool | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        names.TOOL_NAME: shown_name(tool, name),
        names.AGENT_NAME: short(getattr(agent, "agent_name", "")),
    }
    if hit is not None:
        attributes[names.CACHE_HIT] = hit
    source = source_of(tool)
    if source is not None:
        attributes[names.SOURCE_FILE] = shown(source, probe.root)
    return attributes


def step(probe: Probe) -> Callable[..., Any]:
    """For ``Agent.process_tools`` and its kin: what is spent there beside the tool's own time is overhead."""

    async def process_tools(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        current = Step(_call_id(kwargs.get("responses_item_factory")))
        probe.arrive()
        token = probe.step.set(current)
        started = time.perf_counter()
        try:
            return await wrapped(*args, **kwargs)
        finally:
            restore(probe.step, token)
            if current.tool is not None:
                spent = time.perf_counter() - started - current.own_seconds
                probe.tools.of(current.tool).overhead.add(max(0.0, spent))

    return process_tools


def _call_id(answering: Any) -> str | None:
    """The id of the model's native call (v2.6); the host binds the call to what makes its answer."""
    with guarded("_execute_tool_request"):
        for bound in getattr(answering, "__defaults__", None) or ():
            found = getattr(bound, "call_id", None)
            if isinstance(found, str):
                return found
    return None
