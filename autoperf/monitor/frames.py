"""What another thread works on, read from its frames without running any code of the objects found there."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

DEPTH: Final = 400
_FUNCTION: Final = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS
_NO_FILE: Final = "(code without a file)"
_NAME_LENGTH: Final = 200
# Where a thread's innermost Python function is one of these, it waits for something.
_WAITING: Final = frozenset(
    {
        *(("selectors.py", name) for name in ("select", "_select")),
        *(("threading.py", name) for name in ("wait", "join", "_wait_for_tstate_lock", "acquire")),
        *(("queue.py", name) for name in ("get", "put")),
        *(("thread.py", name) for name in ("_worker",)),
        *(("socket.py", name) for name in ("accept", "readinto")),
        *(("ssl.py", name) for name in ("read", "recv", "recv_into")),
        *(("socketserver.py", name) for name in ("serve_forever",)),
        *(("subprocess.py", name) for name in ("_wait", "_try_wait")),
        *(("connection.py", name) for name in ("_poll", "_recv", "wait")),
        *(("runners.py", name) for name in ("run", "run_until_complete")),
        *(("base_events.py", name) for name in ("run_forever", "run_until_complete")),
        *(("popen_fork.py", name) for name in ("poll",)),
    }
)


def method_owner(frame: FrameType) -> Any:
    """The ``self`` of the method that runs in ``frame``; None for any other code.

    The locals of a class body or of `exec` may be a mapping of anybody's, whose code would run here.
    """
    code = frame.f_code
    if code.co_flags & _FUNCTION != _FUNCTION or code.co_varnames[:1] != ("self",):
        return None
    return frame.f_locals.get("self")


def held(owner: Any, name: str) -> Any:
    """The attribute as it is stored on ``owner`` or its class, a descriptor as such; None without one."""
    return inspect.getattr_static(owner, name, None)


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """``frame`` and what called it, so many of them at most."""
    for _ in range(DEPTH):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def waits(frame: FrameType) -> bool:
    """Whether a thread with this innermost frame waits for something, by the function's name."""
    return (os.path.basename(frame.f_code.co_filename), frame.f_code.co_name) in _WAITING


def line_of(frame: FrameType, root: str) -> str:
    """``path:line function`` of a function of the host's; ``root`` ends with a separator."""
    return f"{frame.f_code.co_filename[len(root) :]}:{frame.f_lineno} {frame.f_code.co_name}"


def outside(frame: FrameType) -> str:
    """Module and name of a function that is not the host's; of code without a file, no more than that.

    That may be written by the model, names and all.
    """
    code, module = frame.f_code, frame.f_globals.get("__name__")
    if code.co_filename.startswith("<") and not code.co_filename.startswith("<frozen "):
        return _NO_FILE
    return f"{module if type(module) is str else '?'}.{code.co_name}"[:_NAME_LENGTH]
