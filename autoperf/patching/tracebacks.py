"""Keeps our frames out of the error texts that the host puts into the agent's history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoperf.errors.frames import without_ours


def formatting(wrapped: Callable[..., str], _instance: Any, args: Any, kwargs: Any) -> str:
    """Wrapper for ``format_error(e, ...)``: the text is the one the host would have made without us."""
    error = args[0] if args else kwargs.get("e")
    if isinstance(error, BaseException):
        without_our_frames(error)
    return wrapped(*args, **kwargs)


def without_our_frames(error: BaseException) -> None:
    """Unlink our frames from the tracebacks of ``error`` and of what it came from, in place."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = without_ours(current.__traceback__)
        waiting += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]
