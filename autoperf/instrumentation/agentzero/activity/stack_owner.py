"""Which chat and which tool a stack of the host's frames belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

from autoperf.monitor.frames import held, method_owner
from autoperf.telemetry.redaction import shown_name

_NAME_LENGTH: Final = 100


def whereabouts(frames: Sequence[FrameType]) -> dict[str, str]:
    """``chat`` (the context's id) and ``tool`` of the innermost agent and tool at work; empty where none is.

    ``frames`` run on another thread: what they work on is only looked at, outermost frame first.
    """
    found = {"chat": "", "tool": ""}
    for frame in frames:
        name = frame.f_code.co_name
        owner = method_owner(frame) if name in ("monologue", "execute") else None
        if owner is None:
            continue
        if name == "monologue":
            found = {"chat": _text(held(owner, "context"), "id"), "tool": ""}
        elif held(owner, "agent") is not None:
            # An extension has an agent and an ``execute`` too, but no name.
            found["tool"] = shown_name(owner, _text(owner, "name")) or found["tool"]
    return found


def _text(owner: Any, name: str) -> str:
    value = held(owner, name)
    return str(value)[:_NAME_LENGTH] if type(value) in (str, int) else ""
