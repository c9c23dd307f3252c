"""What stands in for a plain function where a fence with a call around the host's would be too much."""

from __future__ import annotations

from typing import Any, Final

from autoperf.errors.calls import Function
from autoperf.errors.switch import failed


def standing_in(seam: str, ours: Function, host: Function) -> Function:
    """``ours`` in the place of a plain function of the host's that has no effect; ``host`` where it fails.

    ``host`` is the host's, or one of those below: what fails as well has nothing left to stand in for it.
    """

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        try:
            return ours(*args, **kwargs)
        except Exception as error:
            failed(seam, error)
        return host(*args, **kwargs)

    return stand_in


def standing_in_async(seam: str, ours: Function, host: Function, owned: Function) -> Function:
    """The same for coroutine functions; ``owned(error, *args)`` tells what the host raised, and passes."""

    async def stand_in(*args: Any, **kwargs: Any) -> Any:
        try:
            return await ours(*args, **kwargs)
        except Exception as error:
            if owned(error, *args):
                raise
            failed(seam, error)
        return await host(*args, **kwargs)

    return stand_in


def giving(value: Any) -> Function:
    """In the place of a function whose answer is ``value`` where there is none."""
    return lambda *_args, **_kwargs: value


nothing: Final = giving(None)


def unchanged(value: Any) -> Any:
    """In the place of what exchanges a value: the value as it came."""
    return value


def as_wrapped(proxy: Any, instance: Any, owner: Any = None) -> Any:
    """In the place of ``__get__`` of a proxy: what is behind it, bound as without us."""
    return proxy.__wrapped__.__get__(instance, owner)


def passed_on(attribute: str, name: str) -> Function:
    """In the place of a method of what stands for another object: the method ``name`` of that one."""
    return lambda self, *args, **kwargs: getattr(getattr(self, attribute), name)(*args, **kwargs)
