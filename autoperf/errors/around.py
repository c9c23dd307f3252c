"""The lightest shape of a patch: something of ours before the host's function, something after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from autoperf.errors.calls import Function
from autoperf.errors.frames import without_ours
from autoperf.errors.meters import NONE, meters
from autoperf.errors.switch import Acting, failed


class Begun(Protocol):
    """What goes on around one call of the host's function."""

    def end(self, error: BaseException | None) -> None:
        """The function has returned, or raised ``error``."""


class _Skip:
    def end(self, error: BaseException | None) -> None:
        """Nothing has begun."""


SKIP: Final[Begun] = _Skip()


class Around:
    """A wrapper that neither sees nor changes what the function returns.

    ``before`` gets the arguments of the call. It returns what is told of the end; None for nothing; or
    `SKIP` where the function would have no effect and return None: then it is not called.
    """

    __slots__ = ("before",)

    def __init__(self, before: Callable[..., Begun | None]) -> None:
        self.before = before


def around(seam: str, original: Function, switch: Acting, wrapper: Around, *, is_async: bool) -> Function:
    """The function that stands in for ``original``; see `autoperf.errors.fence.fenced`."""
    meter, before = meters.of(seam), wrapper.before

    def end(begun: Begun, error: BaseException | None) -> None:
        try:
            meter.left -= 1
            if meter.left >= 0:
                begun.end(error)
            else:
                meter.run(begun.end, (error,), {}, NONE)
        except Exception as ours:
            failed(seam, ours, switch)

    def synchronous(*args: Any, **kwargs: Any) -> Any:
        try:
            if not switch.on:
                return original(*args, **kwargs)
            try:
                meter.left -= 1
                begun = before(*args, **kwargs) if meter.left >= 0 else meter.run(before, args, kwargs)
                if begun is SKIP:
                    return None
            except Exception as error:
                failed(seam, error, switch)
                begun = None
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                if begun is not None:
                    end(begun, error)
                raise
            if begun is not None:
                end(begun, None)
            return result
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        try:
            if not switch.on:
                return await original(*args, **kwargs)
            try:
                meter.left -= 1
                begun = before(*args, **kwargs) if meter.left >= 0 else meter.run(before, args, kwargs)
                if begun is SKIP:
                    return None
            except Exception as error:
                failed(seam, error, switch)
                begun = None
            try:
                result = await original(*args, **kwargs)
            except BaseException as error:
                if begun is not None:
                    end(begun, error)
                raise
            if begun is not None:
                end(begun, None)
            return result
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            raise

    return asynchronous if is_async else synchronous
