"""A user's message and the monologues that answer it, as spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoperf.agentzero.probe import Probe, agent_attributes
from autoperf.telemetry import names

_KEYS = (names.AGENT_NAME, names.CONVERSATION_ID)


def message(probe: Probe) -> Callable[..., Any]:
    """For ``AgentContext._process_chain(agent, msg, user=True)``: one trace per user message.

    The host calls it again, with ``user=False``, to hand a subordinate's answer on: the same message.
    """

    async def process_chain(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        agent = kwargs.get("agent", args[0] if args else None)
        by_user = kwargs.get("user", args[2] if len(args) > 2 else True)
        if not by_user:
            return await wrapped(*args, **kwargs)
        with probe.span(names.MESSAGE, agent_attributes(agent, _KEYS), new_trace=True):
            return await wrapped(*args, **kwargs)

    return process_chain


def monologue(probe: Probe) -> Callable[..., Any]:
    """For ``Agent.monologue()``: ``invoke_agent``, under the tool call that started it when there is one."""

    async def run_monologue(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        attributes = {names.OPERATION_NAME: names.INVOKE_AGENT, **agent_attributes(instance, _KEYS)}
        label = f"{names.INVOKE_AGENT} {attributes.get(names.AGENT_NAME, '')}".rstrip()
        with probe.span(label, attributes):
            return await wrapped(*args, **kwargs)

    return run_monologue
