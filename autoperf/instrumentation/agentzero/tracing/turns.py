"""A user's message and the monologues that answer it, as spans."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import class_name, guarded
from autoperf.instrumentation.agentzero.activity import activity
from autoperf.instrumentation.agentzero.context import Probe, Turn, agent_attributes, is_intervention, restore
from autoperf.instrumentation.agentzero.tracing.background import Origin
from autoperf.telemetry import names

_KEYS: Final = (names.AGENT_NAME, names.CONVERSATION_ID)
# A0, A1, ... as a rule, but an extension may name every agent anew, and a series is kept for each name.
_AGENTS_MEASURED: Final = 32
_OTHER: Final = "(other)"


def message(probe: Probe) -> Callable[..., Any]:
    """For ``AgentContext._process_chain(agent, msg, user=True)``: one trace per user message.

    The host calls it again, with ``user=False``, to hand a subordinate's answer on: the same message.
    """

    async def process_chain(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        agent = kwargs.get("agent", args[0] if args else None)
        by_user = kwargs.get("user", args[2] if len(args) > 2 else True)
        if not by_user:
            return await wrapped(*args, **kwargs)
        attributes = agent_attributes(agent, _KEYS)
        turn = _turn(attributes)
        with probe.span(names.MESSAGE, attributes, new_trace=True) as span:
            token = probe.turn.set(turn)
            work = probe.underway.begin(activity.MESSAGE, "", turn.agent, turn.conversation)
            try:
                return await wrapped(*args, **kwargs)
            finally:
                probe.underway.end(work)
                turn.tell_layers(span)
                turn.tell_short(span)
                restore(probe.turn, token)

    return process_chain


def monologue(probe: Probe) -> Callable[..., Any]:
    """For ``Agent.monologue()``: ``invoke_agent``, under the tool call that started it when there is one."""
    agents: set[str] = set()

    async def run_monologue(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        attributes = {names.OPERATION_NAME: names.INVOKE_AGENT, **agent_attributes(instance, _KEYS)}
        probe.arrive()
        message = probe.turn.get()
        turn = _turn(attributes, message)
        label = f"{names.INVOKE_AGENT} {turn.agent}".rstrip()
        started = time.perf_counter()
        failed: dict[str, Any] = {}
        with probe.span(label, attributes) as span:
            token = probe.turn.set(turn)
            turn.work = work = probe.underway.begin(activity.AGENT, "", turn.agent, turn.conversation)
            try:
                return await wrapped(*args, **kwargs)
            except Exception as error:
                failed = {} if is_intervention(error) else {names.ERROR_TYPE: class_name(error)}
                raise
            finally:
                probe.underway.end(work)
                with guarded("monologue"):
                    # No end of the step is called in a stopped monologue, nor in a task of the scheduler.
                    turn.end_step()
                    measured = {**_measured_as(turn.agent, agents), **failed}
                    probe.measure(names.INVOKE_AGENT_DURATION, time.perf_counter() - started, measured)
                turn.tell_short(span)
                if message is None:  # a root of its own
                    turn.tell_layers(span)
                restore(probe.turn, token)

    return run_monologue


def _measured_as(agent: str, known: set[str]) -> dict[str, Any]:
    operation = {names.OPERATION_NAME: names.INVOKE_AGENT}
    if not agent:
        return operation
    if agent not in known and len(known) >= _AGENTS_MEASURED:
        agent = _OTHER
    known.add(agent)
    return {**operation, names.AGENT_NAME: agent}


def _turn(attributes: dict[str, Any], within: Turn | None = None) -> Turn:
    return Turn(attributes.get(names.AGENT_NAME, ""), attributes.get(names.CONVERSATION_ID, ""), within)


def prompt(probe: Probe) -> Callable[..., Any]:
    """For ``Agent.prepare_prompt(loop_data)``."""

    async def prepare(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        with probe.span(names.PREPARE_PROMPT):
            turn = probe.turn.get()
            whose = ("", "") if turn is None else (turn.agent, turn.conversation)
            work = probe.underway.begin(activity.PROMPT, "", *whose)
            try:
                return await wrapped(*args, **kwargs)
            finally:
                probe.underway.end(work)

    return prepare


def system_prompt(probe: Probe) -> Callable[..., Any]:
    """For ``Agent.get_system_prompt(loop_data)``."""
    return _spanned(probe, names.SYSTEM_PROMPT)


def retry(probe: Probe) -> Callable[..., Any]:
    """For ``Agent.retry_critical_exception(error, ...)`` (v0.9.8), which waits before the next try."""

    async def wait(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        with probe.span(names.RETRY) as span:
            with guarded("retry"):
                error = args[0] if args else kwargs.get("e")
                span.set(names.ERROR_TYPE, class_name(error) if isinstance(error, BaseException) else None)
            return await wrapped(*args, **kwargs)

    return wait


def _spanned(probe: Probe, name: str) -> Callable[..., Any]:
    async def run(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        with probe.span(name):
            return await wrapped(*args, **kwargs)

    return run


def scheduled(probe: Probe) -> Callable[..., Any]:
    """For ``TaskScheduler._run_task(task, ...)``, which starts a task of the scheduler's and returns."""

    async def run_task(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        token = probe.origin.set(Origin(names.SCHEDULED_TASK, None))
        try:
            return await wrapped(*args, **kwargs)
        finally:
            restore(probe.origin, token)

    return run_task
