"""Executions of a tool, wherever the host runs it: counted, timed, traced."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar
from typing import Any, Final

from autoperf.errors import class_name, guarded
from autoperf.instrumentation.agentzero.activity import activity
from autoperf.instrumentation.agentzero.context import Probe, agent_attributes, is_intervention, restore
from autoperf.instrumentation.agentzero.loading import tool_watch
from autoperf.telemetry import names
from autoperf.telemetry.redaction import shown_name

_WHOSE: Final = (names.AGENT_NAME, names.CONVERSATION_ID)


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
    """Time the executions of this tool and give each a span; without an execution nothing is counted."""
    if tool_watch.undo not in probe.at_stop:
        probe.at_stop.append(tool_watch.undo)
    tool_watch.put_under_watch(tool, lambda: _Watched(probe, tool, shown_name(tool, name), kind, server))


class _Watched:
    __slots__ = ("attributes", "name", "probe", "running")

    def __init__(self, probe: Probe, tool: Any, name: str, kind: str, server: str | None) -> None:
        self.probe = probe
        self.name = name
        self.running = False
        # As they are at the look-up; without spans nobody reads them.
        self.attributes = {} if probe.tracing is None else self._of_lookup(tool, kind, server)

    def _of_lookup(self, tool: Any, kind: str, server: str | None) -> dict[str, Any]:
        return {
            names.OPERATION_NAME: names.EXECUTE_TOOL,
            names.TOOL_NAME: self.name,
            names.TOOL_TYPE: kind,
            **({} if server is None else {names.MCP_SERVER: server}),
            **agent_attributes(getattr(tool, "agent", None), _WHOSE),
        }

    def execution(self, tool: Any, arguments: dict[str, Any]) -> _Execution:
        """One more, about to be called with ``arguments``."""
        self.running = True
        return _Execution(self, tool, arguments)


class _Execution:
    """One execution; what it opens is closed whatever fails, and it is counted once."""

    __slots__ = (
        "_arguments",
        "_ends",
        "_outcome",
        "_probe",
        "_span",
        "_started",
        "_step",
        "_tool",
        "_watched",
    )

    def __init__(self, watched: _Watched, tool: Any, arguments: dict[str, Any]) -> None:
        self._watched, self._tool, self._arguments = watched, tool, arguments
        self._probe = watched.probe
        self._step = self._probe.step.get()
        self._outcome = Outcome()
        self._started = 0.0
        self._ends: ExitStack | None = None
        self._span: Any = None

    def waits(self) -> None:
        """Called, but not begun."""
        self._watched.running = False

    def begin(self) -> None:
        """The host awaits it: from now on it is timed, and open where it can be seen."""
        self._watched.running = True
        self._started = time.perf_counter()
        probe = self._probe
        with ExitStack() as opened:
            work = probe.underway.begin(activity.TOOL, self._watched.name, *self._whose())
            opened.callback(probe.underway.end, work)
            opened.callback(restore, _outcome, _outcome.set(self._outcome))
            # What a tool runs beside itself is part of its own time, and answers no call of the model.
            opened.callback(restore, probe.step, probe.step.set(None))
            self._span = opened.enter_context(self._opened())
            self._ends = opened.pop_all()
        # The time of the tool begins with that of its span: what opening one takes is ours.
        self._started = time.perf_counter()

    def returned(self, response: Any) -> None:
        """It is over; ``response`` tells how."""
        if self._span is not None:
            with guarded("execute"):
                self._told(response)
        self._over(None)

    def raised(self, error: BaseException) -> None:
        """It is over, or its arguments were refused."""
        if isinstance(error, Exception):
            self._outcome.error = "" if is_intervention(error) else class_name(error)
        self._over(error)

    def _whose(self) -> tuple[str, str]:
        with guarded("execute"):
            known = self._watched.attributes or agent_attributes(self._agent(), _WHOSE)
            return known.get(names.AGENT_NAME, ""), known.get(names.CONVERSATION_ID, "")
        return "", ""

    def _agent(self) -> Any:
        return getattr(self._tool, "agent", None)

    def _opened(self) -> AbstractContextManager[Any]:
        attributes = self._watched.attributes
        if self._step is not None and self._step.call_id:
            attributes = {**attributes, names.TOOL_CALL_ID: self._step.call_id}
        captured = self._captured(self._arguments)
        if captured is not None:
            attributes = {**attributes, names.TOOL_ARGUMENTS: captured}
        return self._probe.span(f"{names.EXECUTE_TOOL} {self._watched.name}", attributes)

    def _captured(self, value: Any) -> str | None:
        return self._probe.content.text(self._agent(), value)

    def _told(self, response: Any) -> None:
        self._span.set(names.TOOL_RESULT, self._captured(getattr(response, "message", None)))
        ends_turn = getattr(response, "break_loop", None)
        if isinstance(ends_turn, bool):
            self._span.set(names.BREAK_LOOP, ends_turn)
        if self._outcome.error:
            self._span.set(names.ERROR_TYPE, self._outcome.error)

    def _over(self, error: BaseException | None) -> None:
        seconds = time.perf_counter() - self._started if self._started else 0.0
        self._watched.running = False
        with guarded("execute"):
            if self._ends is not None:
                self._measure(seconds)
        with guarded("execute"):
            if self._ends is not None:
                trace = None if error is None else error.__traceback__
                self._ends.__exit__(None if error is None else type(error), error, trace)
        self._count(seconds)

    def _measure(self, seconds: float) -> None:
        attributes = {names.TOOL_NAME: self._watched.name}
        if self._outcome.error:
            attributes[names.ERROR_TYPE] = self._outcome.error
        self._probe.measure(names.EXECUTE_TOOL_DURATION, seconds, attributes)

    def _count(self, seconds: float) -> None:
        execution = self._probe.tools.of(self._watched.name)
        execution.series.add(seconds)
        execution.errors += bool(self._outcome.error)
        if self._step is not None:
            self._step.tool = self._watched.name
            self._step.own_seconds += seconds
