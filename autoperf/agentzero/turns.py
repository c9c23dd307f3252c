"""A user's message and the monologues that answer it, as spans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoperf.agentzero.probe import Probe, agent_attributes
from autoperf.patching import Switch
from autoperf.telemetry import names

_KEYS = (names.AGENT_NAME, names.CONVERSATION_ID)


def message(probe: Probe) -> Callable[[Callable[..., Any], Switch], Callable[..., Any]]:
    """For ``AgentContext._process_chain(agent, msg, user=True)``: one trace per user message."""

    def build(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
        async def process_chain(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not switch.on:
                return await original(self, *args, **kwargs)
            agent = kwargs.get("agent", args[0] if args else None)
            with probe.span(names.MESSAGE, agent_attributes(agent, _KEYS)):
                return await original(self, *args, **kwargs)

        return process_chain

    return build


def monologue(probe: Probe) -> Callable[[Callable[..., Any], Switch], Callable[..., Any]]:
    """For ``Agent.monologue()``: ``invoke_agent``, under the tool call that started it when there is one."""

    def build(original: Callable[..., Any], switch: Switch) -> Callable[..., Any]:
        async def run_monologue(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not switch.on:
                return await original(self, *args, **kwargs)
            attributes = {
                names.OPERATION_NAME: names.INVOKE_AGENT,
                **agent_attributes(self, _KEYS),
            }
            label = f"{names.INVOKE_AGENT} {attributes.get(names.AGENT_NAME, '')}".rstrip()
            with probe.span(label, attributes):
                return await original(self, *args, **kwargs)

        return run_monologue

    return build
