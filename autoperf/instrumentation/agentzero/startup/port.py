"""Garbage collection waits while the host imports, and is back when the server's port is open."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.startup.collector import HeldCollection
from autoperf.patching.patch import Switch

# The first thing each server does once its port is open.
SERVERS: Final = (
    "uvicorn.server:Server._log_started_message",
    "werkzeug.serving:BaseWSGIServer.serve_forever",
)

Build = Callable[[Any, Switch], Any]


def rows(_targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Hold collection from now until a port is open, the imports have come to rest, or a minute is over."""
    held = HeldCollection(busy=probe.underway.as_rows, listed=_chats)
    probe.after_fork.append(held.forked)
    probe.at_stop.append(held.undo)
    probe.idle_work.append(held.look)
    held.hold()
    for target in SERVERS:
        yield target, _open(held)


def _chats() -> frozenset[int]:
    """The host's chats and their first agents, by identity; a chat that is reset gets another agent."""
    contexts = getattr(getattr(sys.modules.get("agent"), "AgentContext", None), "_contexts", {})
    # A copy, made at once: other threads add and remove chats.
    chats = list(contexts.values()) if type(contexts) is dict else []
    return frozenset(id(one) for chat in chats for one in (chat, getattr(chat, "agent0", None)))


def _open(held: HeldCollection) -> Build:
    def build(_original: Any, _switch: Switch) -> Any:
        def serving(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            if held.held:
                held.finish()
            return call(*args, **kwargs)

        return serving

    return build
