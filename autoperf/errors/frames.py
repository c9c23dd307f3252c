"""Our frames in tracebacks: told from the host's, and taken out."""

from __future__ import annotations

import os
import sys
from types import FrameType, TracebackType
from typing import Final

OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NAMED: Final = "<autoperf"  # code of ours that is named so as to be passed over by others
_CALLERS: Final = 8
_DEEPEST: Final = 24
_LIBRARY: Final = sys.stdlib_module_names - {"__main__"}
_WRAPT: Final = os.sep + os.path.join("wrapt", "wrappers.py")  # its Python part


class _Host:
    root = "\0"  # the folder of the host's code; no file is below this one


host: Final = _Host()


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether ours, or a library that ours called, and not the host's code was at work last."""
    ours = True
    while trace is not None:
        file = _file(trace)
        ours = file.startswith(OURS) or (ours and not file.startswith(host.root))
        trace = trace.tb_next
    return ours


def described(trace: TracebackType | None) -> list[str]:
    """The frames of an exception, outermost first, each as file, line and function; no value is in them.

    Files are told by where they lie: ``autoperf/...``, ``{host}/...`` below the host's folder,
    ``site-packages/...``, or as a module of the standard library. Of others nothing is told but "elsewhere".
    At most `_CALLERS` callers of the first and `_DEEPEST` frames in all, the innermost.
    """
    stack: list[tuple[FrameType, int]] = []
    caller = None if trace is None else trace.tb_frame.f_back
    while caller is not None and len(stack) < _CALLERS:
        stack.insert(0, (caller, caller.f_lineno))
        caller = caller.f_back
    while trace is not None:
        stack.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return [_described(frame, line) for frame, line in stack[-_DEEPEST:]]


def _described(frame: FrameType, line: int) -> str:
    file = frame.f_code.co_filename
    function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    if file.startswith(OURS):
        return f"autoperf/{file[len(OURS) :]}:{line} {function}"
    if file.startswith(host.root):
        return f"{{host}}/{file[len(host.root) :]}:{line} {function}"
    for folder in ("site-packages", "dist-packages"):
        _, found, inside = file.rpartition(f"{os.sep}{folder}{os.sep}")
        if found:
            return f"{folder}/{inside}:{line} {function}"
    module = dict.get(frame.f_globals, "__name__")  # its own `get` would be the host's code
    if type(module) is str and module.partition(".")[0] in _LIBRARY:
        return f"{module}:{line} {function}"
    return "elsewhere"


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """``trace`` without the frames of this package, unlinked in place."""
    head = _skip_ours(trace)
    link = head
    while link is not None:
        link.tb_next = _skip_ours(link.tb_next)
        link = link.tb_next
    return head


def _skip_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None:
        # Where wrapt runs without its C part, its own frames stand directly before ours.
        inner: TracebackType | None = trace
        while inner is not None and _file(inner).endswith(_WRAPT):
            inner = inner.tb_next
        if inner is None or not _file(inner).startswith((OURS, _NAMED)):
            break
        trace = inner.tb_next
    return trace


def _file(trace: TracebackType) -> str:
    return trace.tb_frame.f_code.co_filename
