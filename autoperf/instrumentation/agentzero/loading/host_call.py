"""One call of a loader of the host's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class HostCall:
    """One call of the host's own loader: ``call`` makes it, ``original`` is the loader."""

    __slots__ = ("_args", "_call", "_kwargs", "arguments", "original")

    def __init__(
        self,
        call: Callable[..., list[type]],
        original: Callable[..., list[type]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._call = call
        self.original = original
        self.arguments: tuple[Any, ...] = ()
        self._args = args
        self._kwargs = kwargs

    def fits(self, names: tuple[str, ...]) -> bool:
        """Whether the call gives these arguments and no others; the last may be missing and is True then.

        If so ``arguments`` holds them in that order.
        """
        if self._kwargs.keys() - set(names[len(self._args) :]) or len(self._args) > len(names):
            return False
        given = dict(zip(names, self._args, strict=False)) | self._kwargs
        self.arguments = tuple(given[name] for name in names[:-1] if name in given)
        if len(self.arguments) < len(names) - 1:
            return False
        self.arguments += (given.get(names[-1], True),)
        return True

    @property
    def given(self) -> tuple[Any, ...] | None:
        """The arguments, where all of them were given by position."""
        return None if self._kwargs else self._args

    @property
    def name(self) -> str:
        return getattr(self.original, "__name__", "classes")

    def __call__(self) -> list[type]:
        return self._call(*self._args, **self._kwargs)
