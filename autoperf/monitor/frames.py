"""What another thread works on, read from its frames without running any code of the objects found there."""

from __future__ import annotations

import inspect
from types import FrameType
from typing import Any, Final

_FUNCTION: Final = inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS


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
