"""Keeps our frames out of the error texts that the host puts into the agent's history."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.patching import Switch

OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def formatting(original: Callable[..., str], switch: Switch) -> Callable[..., str]:
    """Wrapper for ``format_error(e, ...)``: the text is the one the host would have made without us."""

    def format_error(e: Any, *args: Any, **kwargs: Any) -> str:
        if switch.on:
            with guarded("format_error"):
                without_our_frames(e)
        return original(e, *args, **kwargs)

    return format_error


def without_our_frames(error: BaseException) -> None:
    """Unlink our frames from the tracebacks of ``error`` and of what it came from, in place."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = _filtered(current.__traceback__)
        waiting += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]


def _filtered(trace: TracebackType | None) -> TracebackType | None:
    head = _skip_ours(trace)
    link = head
    while link is not None:
        link.tb_next = _skip_ours(link.tb_next)
        link = link.tb_next
    return head


def _skip_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    return trace
