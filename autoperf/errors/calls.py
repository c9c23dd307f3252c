"""One call of a host's function, as a wrapper makes it: whether it was made, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Function = Callable[..., Any]
_NOT_MADE: Final = 0
_MADE: Final = 1
_RETURNED: Final = 2
_RAISED: Final = 3


class Call:
    """One call of the host's function, made by the wrapper with the arguments it likes, remembered here."""

    __slots__ = ("_function", "_outcome", "_state", "_trace")

    timed = False  # see `autoperf.errors.meters`

    def __init__(self, function: Function) -> None:
        self._function = function
        self._state = _NOT_MADE
        self._outcome: Any = None
        self._trace: Any = None

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self._state = _MADE
        try:
            result = self._outcome = self._function(*args, **kwargs)
        except BaseException as error:
            self._raised(error)
            # This frame is in the traceback: with it a circle, which would keep the host's frames alive.
            del self
            raise
        self._state = _RETURNED
        return result

    @property
    def made(self) -> bool:
        """Whether the wrapper has called the function."""
        return self._state is not _NOT_MADE

    def via(self, function: Function) -> Call:
        """The same call, with the host's code reached through ``function``: what it raises is the host's."""
        self._function = function
        return self

    def over(self) -> None:
        """The wrapper has returned or raised; asked of a call that is timed."""

    def _raised(self, error: BaseException) -> None:
        self._state, self._outcome = _RAISED, error
        self._trace = error.__traceback__, error.__context__

    def owns(self, error: Exception) -> bool:
        """Whether the function raised ``error``, so that it passes; it is held no longer then."""
        owned = self._state is _RAISED and error is self._outcome
        if owned:
            self._outcome = self._trace = None
        return owned

    def settle(self, original: Function, args: Any, kwargs: Any) -> Any:
        """What the host's function came to; it is called now where the wrapper had not got to that."""
        if self._state is _NOT_MADE:
            return original(*args, **kwargs)
        if self._state is not _RAISED:
            return self._outcome
        outcome, (trace, context) = self._outcome, self._trace
        self._outcome = self._trace = None
        try:
            raise outcome
        except BaseException as error:
            error.__traceback__, error.__context__ = trace, context
            del outcome, trace, context
            raise


class AsyncCall(Call):
    """The same of a coroutine function."""

    __slots__ = ()

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self._state = _MADE
        try:
            result = self._outcome = await self._function(*args, **kwargs)
        except BaseException as error:
            self._raised(error)
            # This frame is in the traceback: with it a circle, which would keep the host's frames alive.
            del self
            raise
        self._state = _RETURNED
        return result

    async def settled(self, original: Function, args: Any, kwargs: Any) -> Any:
        """`settle`, awaited where the function is called only now."""
        outcome = self.settle(original, args, kwargs)
        return await outcome if self._state is _NOT_MADE else outcome
