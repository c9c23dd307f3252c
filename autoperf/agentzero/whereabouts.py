"""Which chat and which tool a stack of the host's frames belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

from autoperf.agentzero.toolnames import shown_name

_NAME_LENGTH: Final = 100


def whereabouts(frames: Sequence[FrameType]) -> dict[str, str]:
    """``chat`` (the context's id) and ``tool`` of the innermost agent and tool at work; empty where none is.

    ``frames`` run on another thread: their locals are only looked at, outermost frame first.
    """
    found = {"chat": "", "tool": ""}
    for frame in frames:
        owner = frame.f_locals.get("self")
        if owner is None:
            continue
        if frame.f_code.co_name == "monologue":
            found = {"chat": _text(getattr(owner, "context", None), "id"), "tool": ""}
        elif frame.f_code.co_name == "execute" and hasattr(owner, "agent"):
            # An extension has an agent and an ``execute`` too, but no name.
            found["tool"] = shown_name(owner, _text(owner, "name")) or found["tool"]
    return found


def _text(owner: Any, name: str) -> str:
    value = vars(owner).get(name) if hasattr(owner, "__dict__") else None
    return str(value)[:_NAME_LENGTH] if isinstance(value, (str, int)) else ""
