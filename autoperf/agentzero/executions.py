"""Executions of one tool object, wherever the host runs it: counted, timed, traced."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, Final

from autoperf.agentzero.probe import Probe, agent_attributes, is_intervention
from autoperf.errors import guarded
from autoperf.telemetry import names

UNKNOWN: Final = "(unknown)"
_NAME_LENGTH: Final = 100


def watch(probe: Probe, tool: Any, name: Any, *, kind: str) -> None:
    """Time this tool object's ``execute`` and give it a span; without an execution nothing is counted.

    The object carries one attribute more until ``execute`` begins; while it runs, it is as the host made it.
    """
    execute = getattr(tool, "execute", None)
    if not callable(execute) or not hasattr(tool, "__dict__"):
        return
    label = UNKNOWN if type(tool).__name__ == "Unknown" else short(name)
    attributes = {
        names.OPERATION_NAME: names.EXECUTE_TOOL,
        names.TOOL_NAME: short(name),
        names.TOOL_TYPE: kind,
        **agent_attributes(getattr(tool, "agent", None), (names.AGENT_NAME, names.CONVERSATION_ID)),
    }

    def begin(*args: Any, **kwargs: Any) -> Any:
        # Not a coroutine function itself: arguments that do not fit must be refused by the call, as without
        # us, and not by the await, where Python would point at another part of the host's line.
        vars(tool).pop("execute", None)
        try:
            return run(execute(*args, **kwargs))
        except Exception:
            count(0.0, failed=True)
            raise

    async def run(execution: Awaitable[Any]) -> Any:
        started = time.perf_counter()
        failed = False
        try:
            with probe.span(f"{names.EXECUTE_TOOL} {short(name)}", attributes):
                return await execution
        except Exception as error:
            failed = not is_intervention(error)
            raise
        finally:
            count(time.perf_counter() - started, failed=failed)

    def count(seconds: float, *, failed: bool) -> None:
        with guarded("execute"):
            execution = probe.tools.of(label)
            execution.series.add(seconds)
            execution.errors += failed
            current = probe.step.get()
            if current is not None:
                current.tool, current.own_seconds = label, current.own_seconds + seconds
            vars(tool).setdefault("execute", begin)

    # Not by assignment: a tool may have a __setattr__ of its own.
    vars(tool)["execute"] = begin


def short(name: Any) -> str:
    """A name as it goes into statistics and attributes: text, at most 100 characters."""
    return str(name)[:_NAME_LENGTH]
