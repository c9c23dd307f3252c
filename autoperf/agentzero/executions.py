"""Executions of one tool object, wherever the host runs it: counted, timed, traced."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final

from autoperf.agentzero import underway
from autoperf.agentzero.probe import Probe, Step, agent_attributes, is_intervention, restore
from autoperf.agentzero.toolnames import shown_name
from autoperf.errors import class_name, guarded
from autoperf.telemetry import names

_NOTHING: Final = object()
_WHOSE: Final = (names.AGENT_NAME, names.CONVERSATION_ID)
_OURS: Final = "autoperf_probe"  # on what stands in for `execute`: on whose behalf

_mark: Final = getattr(inspect, "markcoroutinefunction", None)  # from Python 3.12 on


class Outcome:
    """How one execution went; ``error`` is a class name, ``tool_error``, or empty.

    Whoever knows of a failure that the host makes an answer of, on whatever thread, notes it here.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error = ""


_outcome: ContextVar[Outcome | None] = ContextVar("autoperf_outcome", default=None)


def current_outcome() -> Outcome | None:
    """Of the execution that goes on here."""
    return _outcome.get()


def watch(probe: Probe, tool: Any, name: Any, *, kind: str, server: str | None = None) -> None:
    """Time this tool object's ``execute`` and give it a span; without an execution nothing is counted.

    The object carries one attribute more until ``execute`` begins; while it runs, it is as the host made it,
    or as an extension has made it since.
    """
    execute = getattr(tool, "execute", None)
    if not callable(execute) or not hasattr(tool, "__dict__"):
        return
    own = vars(tool).get("execute", _NOTHING)
    if getattr(own, _OURS, None) is probe:
        return  # one that is handed out again and again must not be wrapped again and again
    shown = shown_name(tool, name)
    # Made at the look-up only where a span shows what the agent was then.
    known = None if probe.tracing is None else _Watched(probe, tool, shown, kind, server)

    def begin(*args: Any, **kwargs: Any) -> Any:
        # Not a coroutine function itself: arguments that do not fit must be refused by the call, as without
        # us, and not by the await, where Python would point at another part of the host's line.
        _exchange(tool, begin, own)
        step = probe.step.get()
        watched = known or _Watched(probe, tool, shown, kind, server)
        try:
            return watched.run(execute(*args, **kwargs), kwargs, step, put_again)
        except Exception:
            watched.count(0.0, True, step, put_again)
            raise

    def put_again() -> None:
        _exchange(tool, own, begin)

    functools.update_wrapper(begin, execute)
    if _mark is not None and inspect.iscoroutinefunction(execute):
        _mark(begin)
    setattr(begin, _OURS, probe)
    _exchange(tool, own, begin)


def _exchange(tool: Any, there: Any, instead: Any) -> None:
    """Put ``instead`` where ``there`` is; what somebody else has put there meanwhile stays."""
    # Not by assignment: a tool may have a __setattr__ of its own.
    names_of_its_own = vars(tool)
    if names_of_its_own.get("execute", _NOTHING) is not there:
        return
    if instead is _NOTHING:
        del names_of_its_own["execute"]
    else:
        names_of_its_own["execute"] = instead


class _Watched:
    __slots__ = ("_agent", "_attributes", "_name", "_probe", "_tool")

    def __init__(self, probe: Probe, tool: Any, name: str, kind: str, server: str | None) -> None:
        self._probe = probe
        self._tool = tool
        self._agent = getattr(tool, "agent", None)
        self._name = name
        # As they are at the look-up; without spans nobody reads them.
        self._attributes = {} if probe.tracing is None else self._of_lookup(kind, server)

    def _of_lookup(self, kind: str, server: str | None) -> dict[str, Any]:
        return {
            names.OPERATION_NAME: names.EXECUTE_TOOL,
            names.TOOL_NAME: self._name,
            names.TOOL_TYPE: kind,
            **({} if server is None else {names.MCP_SERVER: server}),
            **agent_attributes(self._agent, _WHOSE),
        }

    async def run(
        self,
        execution: Awaitable[Any],
        arguments: dict[str, Any],
        step: Step | None,
        put_again: Callable[[], None],
    ) -> Any:
        started = time.perf_counter()
        outcome = Outcome()
        work = self._probe.underway.begin(underway.TOOL, self._name, *self._whose())
        tokens = (
            (_outcome, _outcome.set(outcome)),
            # What a tool runs beside itself is part of its own time, and answers no call of the model.
            (self._probe.step, self._probe.step.set(None)),
        )
        try:
            with self._span(arguments, step) as span:
                try:
                    response = await execution
                except Exception as error:
                    outcome.error = "" if is_intervention(error) else class_name(error)
                    raise
                else:
                    self._ended(span, response, outcome)
                    return response
                finally:
                    self._measure(time.perf_counter() - started, outcome)
        finally:
            self._probe.underway.end(work)
            for variable, token in tokens:
                restore(variable, token)
            self.count(time.perf_counter() - started, bool(outcome.error), step, put_again)

    def _whose(self) -> tuple[str, str]:
        with guarded("execute"):
            known = self._attributes or agent_attributes(self._agent, _WHOSE)
            return known.get(names.AGENT_NAME, ""), known.get(names.CONVERSATION_ID, "")
        return "", ""

    def _span(self, arguments: dict[str, Any], step: Step | None) -> AbstractContextManager[Any]:
        attributes = self._attributes
        if step is not None and step.call_id:
            attributes = {**attributes, names.TOOL_CALL_ID: step.call_id}
        captured = self._captured(arguments)
        if captured is not None:
            attributes = {**attributes, names.TOOL_ARGUMENTS: captured}
        return self._probe.span(f"{names.EXECUTE_TOOL} {self._name}", attributes)

    def _captured(self, value: Any) -> str | None:
        return self._probe.content.text(self._agent, value)

    def _ended(self, span: Any, response: Any, outcome: Outcome) -> None:
        with guarded("execute"):
            span.set(names.TOOL_RESULT, self._captured(getattr(response, "message", None)))
            ends_turn = getattr(response, "break_loop", None)
            if isinstance(ends_turn, bool):
                span.set(names.BREAK_LOOP, ends_turn)
            if outcome.error:
                span.set(names.ERROR_TYPE, outcome.error)

    def _measure(self, seconds: float, outcome: Outcome) -> None:
        with guarded("execute"):
            attributes = {names.TOOL_NAME: self._name}
            if outcome.error:
                attributes[names.ERROR_TYPE] = outcome.error
            self._probe.measure(names.EXECUTE_TOOL_DURATION, seconds, attributes)

    def count(self, seconds: float, failed: bool, step: Step | None, put_again: Callable[[], None]) -> None:
        with guarded("execute"):
            execution = self._probe.tools.of(self._name)
            execution.series.add(seconds)
            execution.errors += failed
            if step is not None:
                step.tool, step.own_seconds = self._name, step.own_seconds + seconds
            put_again()
