"""A decorator's own passage around a function whose call is over: frames, exceptions, later calls.

For a patch that called the function without the decorator, where it turns out that the decorator matters. It
is part of the fence, because a failure here would change what the caller of the host sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from autoperf.errors.calls import Function
from autoperf.errors.frames import without_ours

Error = BaseException | None


class Replay:
    """Decorates known outcomes by the decorator's own code over a copy of its module's names.

    The functions ``skipped`` (plain) and ``skipped_async`` of that module do nothing at their first call,
    whose effect is known to be none; later calls get the arguments ``more`` that are given with an outcome.
    """

    def __init__(self, decorator: Any, skipped: str, skipped_async: str) -> None:
        self._decorator = decorator
        self._names: dict[str, Any] = decorator.__globals__
        self._skipped = skipped
        self._skipped_async = skipped_async

    def synchronous(self, func: Any, result: Any, error: Error, **more: Any) -> Function:
        """For a plain function that has given ``result`` or raised ``error``."""

        def known(*_args: Any, **_kwargs: Any) -> Any:
            if error is not None:
                raise error
            return result

        return self._decorated(known, func, error, more)

    def asynchronous(self, func: Any, result: Any, error: Error, **more: Any) -> Function:
        """The same for a coroutine function."""

        async def known(*_args: Any, **_kwargs: Any) -> Any:
            if error is not None:
                raise error
            return result

        return self._decorated(known, func, error, more)

    def _decorated(self, known: Any, func: Any, error: Error, more: Mapping[str, Any]) -> Function:
        if error is not None:
            # Of the frames that called the function; the one that raises it again comes on top.
            error.__traceback__ = without_ours(error.__traceback__)
        known.__module__, known.__qualname__ = func.__module__, func.__qualname__
        names, begun = self._names, False

        def is_first() -> bool:
            nonlocal begun
            first, begun = not begun, True
            return first

        async def later_async(*args: Any, **kwargs: Any) -> Any:
            if not is_first():
                return await names[self._skipped_async](*args, **{**kwargs, **more})
            return None

        def later(*args: Any, **kwargs: Any) -> Any:
            if not is_first():
                return names[self._skipped](*args, **{**kwargs, **more})
            return None

        space = {**names, self._skipped_async: later_async, self._skipped: later}
        made: Function = FunctionType(self._decorator.__code__, space)(known)
        return made
