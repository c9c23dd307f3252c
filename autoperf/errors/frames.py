"""Our frames in tracebacks: told from the host's, and taken out."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Final

OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NAMED: Final = "<autoperf"  # code of ours that is named so as to be passed over by others
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
