"""A context variable that keeps nothing alive: timers and tasks copy the context they are made in."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def _nothing() -> None:
    return None


class WeakVar(Generic[T]):
    """Holds what was set for as long as whoever set it does, however long copies of the context live.

    Values must take weak references; None is none.
    """

    __slots__ = ("_variable", "reference", "reset")

    def __init__(self, name: str) -> None:
        self._variable: ContextVar[Callable[[], T | None]] = ContextVar(name, default=_nothing)
        self.reset = self._variable.reset
        self.reference = self._variable.get  # a callable that gives the value, for what runs for every chunk

    def get(self) -> T | None:
        """The value current here, if it is still held."""
        return self._variable.get()()

    def set(self, value: T | None) -> Token[Any]:
        """Make ``value`` current; give what comes back to `reset`."""
        return self._variable.set(_nothing if value is None else weakref.ref(value))
