"""Garbage collection waits while the host imports, and is back when the server's port is open."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.startup.collector import HeldCollection
from autoperf.monitor.frames import held
from autoperf.patching.patch import Switch

# The first thing each server does once its port is open.
SERVERS: Final = (
    "uvicorn.server:Server._log_started_message",
    "werkzeug.serving:BaseWSGIServer.serve_forever",
)

Build = Callable[[Any, Switch], Any]


def rows(_targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Hold collection from now until a port is open, the imports have come to rest, or a minute is over."""
    collection = HeldCollection(busy=probe.underway.as_rows, listed=_chats)
    probe.after_fork.append(collection.forked)
    probe.at_stop.append(collection.undo)
    probe.idle_work.append(collection.look)
    collection.hold()
    for target in SERVERS:
        yield target, _open(collection)


def _chats() -> frozenset[int]:
    """The host's chats and their first agents, by identity; a chat that is reset gets another agent."""
    contexts = held(held(sys.modules.get("agent"), "AgentContext"), "_contexts")
    # A copy, made at once: other threads add and remove chats.
    chats = list(contexts.values()) if type(contexts) is dict else []
    return frozenset(id(one) for chat in chats for one in (chat, held(chat, "agent0")))


def _open(collection: HeldCollection) -> Build:
    def build(_original: Any, _switch: Switch) -> Any:
        def serving(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            if collection.held:
                collection.finish()
            return call(*args, **kwargs)

        return serving

    return build
