"""Garbage collection waits while the host imports, and is back when the server's port is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.agentzero.probe import Probe
from autoperf.collection import HeldCollection
from autoperf.patching import Switch

# The first thing each server does once its port is open.
SERVERS: Final = (
    "uvicorn.server:Server._log_started_message",
    "werkzeug.serving:BaseWSGIServer.serve_forever",
)

Build = Callable[[Any, Switch], Any]


def rows(_targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Hold collection from now until a port is open, the imports have come to rest, or a minute is over."""
    held = HeldCollection(busy=probe.underway.as_rows)
    probe.after_fork.append(held.forked)
    probe.at_stop.append(held.undo)
    probe.idle_work.append(held.look)
    held.hold()
    for target in SERVERS:
        yield target, _open(held)


def _open(held: HeldCollection) -> Build:
    def build(_original: Any, _switch: Switch) -> Any:
        def serving(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            if held.held:
                held.finish()
            return call(*args, **kwargs)

        return serving

    return build
