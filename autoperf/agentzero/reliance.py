"""Host functions whose behaviour ours relies on: recognised by their source, watched for being replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256
from types import FunctionType
from typing import Any, Final

import wrapt

from autoperf.agentzero.sources import digest
from autoperf.errors import AutoperfError

_OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MISSING: Final = object()


class Reliance:
    """A group of functions in one host module; made while the module has just been executed.

    Raises `AutoperfError` unless `group_digest` of those the module has is among the ``known``.
    """

    __slots__ = ("_space", "_trusted")

    def __init__(self, space: dict[str, Any], names: Iterable[str], known: frozenset[str]) -> None:
        names = [name for name in names if name in space]
        if group_digest(space, names) not in known:
            raise AutoperfError("other code than the one that is known")
        self._space = space
        self._trusted = {name: space[name] for name in names}

    def holds(self) -> bool:
        """Whether nobody but us has put something else in the place of one of them."""
        space, trusted = self._space, self._trusted
        for name, function in trusted.items():
            if space.get(name) is not function:
                return self._only_ours()
        return True

    def _only_ours(self) -> bool:
        for name, function in list(self._trusted.items()):
            current = self._space.get(name, _MISSING)
            if without_ours(current) is not without_ours(function):
                return False
            self._trusted[name] = current
        return True


def group_digest(space: dict[str, Any], names: Iterable[str]) -> str:
    """SHA-256 over the names and source digests of several functions of one module, in the order given."""
    lines = [f"{name}:{digest(space[name])}" for name in names]
    return sha256("\n".join(lines).encode()).hexdigest()


def without_ours(function: Any) -> Any:
    """What lies under wrappers of ours, as far as only they lie on top."""
    while True:
        made_by = getattr(function, "_self_wrapper", None) if _is_wrapt(function) else function
        if not isinstance(made_by, FunctionType) or not made_by.__code__.co_filename.startswith(_OURS):
            return function
        function = getattr(function, "__wrapped__", None)


def _is_wrapt(function: Any) -> bool:
    return type(function) in (wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper)
