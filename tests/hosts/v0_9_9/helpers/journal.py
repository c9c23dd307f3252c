"""What happened, in order: every leaf of this look-alike notes itself here for whoever drives it."""

import contextvars
import json
import threading
from typing import Any

CHAT: contextvars.ContextVar[str] = contextvars.ContextVar("journal_chat", default="-")
EVENTS: list[dict[str, Any]] = []
ECHO = False  # run_ui.py prints what is noted, the way the real program prints to its terminal


def note(kind: str, **data: Any) -> None:
    """Append one event; values are copied at once, for the host goes on mutating them."""
    frozen = json.loads(json.dumps(data, default=lambda value: type(value).__name__))
    EVENTS.append({"chat": CHAT.get(), "thread": threading.current_thread().name, "kind": kind, **frozen})
    if ECHO and kind == "print":
        print(data.get("text", ""), flush=True)
