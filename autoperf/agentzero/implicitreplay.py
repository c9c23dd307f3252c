"""The host's own passage through an extensible function, for one whose outcome is already known."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from autoperf.errors.frames import without_ours

Error = BaseException | None


class Replay:
    """Makes functions that do what the host does after the call: its end point, its frames, its exceptions.

    They are made by the host's decorator, from its own code over a copy of its module's names, in which
    nothing but the call of the start point is left out: that was found to be empty before. The end point is
    the one of ``agent``, whoever that would be by now.
    """

    def __init__(self, decorator: Any) -> None:
        self._decorator = decorator
        self._space: dict[str, Any] = decorator.__globals__

    def synchronous(
        self, func: Any, agent: Any, result: Any, error: BaseException | None
    ) -> Callable[..., Any]:
        """For a plain function that has given ``result`` or raised ``error``."""

        def known(*_args: Any, **_kwargs: Any) -> Any:
            if error is not None:
                raise error
            return result

        _without_our_frames(error)
        return self._decorated(known, func, agent)

    def asynchronous(
        self, func: Any, agent: Any, result: Any, error: BaseException | None
    ) -> Callable[..., Any]:
        """The same for a coroutine function."""

        async def known(*_args: Any, **_kwargs: Any) -> Any:
            if error is not None:
                raise error
            return result

        _without_our_frames(error)
        return self._decorated(known, func, agent)

    def _decorated(self, known: Any, func: Any, agent: Any) -> Callable[..., Any]:
        known.__module__, known.__qualname__ = func.__module__, func.__qualname__
        host, begun = self._space, False

        def is_start() -> bool:
            nonlocal begun
            first, begun = not begun, True
            return first

        async def call_extensions_async(point: str, **kwargs: Any) -> Any:
            if not is_start():
                await host["call_extensions_async"](point, **{**kwargs, "agent": agent})

        def call_extensions_sync(point: str, **kwargs: Any) -> Any:
            if not is_start():
                host["call_extensions_sync"](point, **{**kwargs, "agent": agent})

        space = {
            **host,
            "call_extensions_async": call_extensions_async,
            "call_extensions_sync": call_extensions_sync,
        }
        made: Callable[..., Any] = FunctionType(self._decorator.__code__, space)(known)
        return made


def _without_our_frames(error: Error) -> None:
    # Those that called the function; the one that raises it again comes on top.
    if error is not None:
        error.__traceback__ = without_ours(error.__traceback__)
