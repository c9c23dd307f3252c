"""Host functions whose behaviour ours relies on: recognised by their source, watched for being replaced."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable
from types import FunctionType
from typing import Any, Final

import wrapt

from autoperf.errors import AutoperfError
from autoperf.errors.switch import Switch, Together
from autoperf.patching.sources import digest, group_digest

_OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_MISSING: Final = object()
_UNKNOWN: Final = "other code than the one that is known"


class Reliance:
    """A group of functions in one host module; made while the module has just been executed.

    ``space`` are the module's names, live. What relies on them stands aside by ``switch`` while one of them
    is replaced. Raises `AutoperfError` unless `group_digest` of those functions the module has is among the
    ``known``.
    """

    __slots__ = ("_holds", "_switch", "_trusted", "space")

    def __init__(
        self, space: dict[str, Any], names: Iterable[str], known: Collection[str], switch: Switch | Together
    ) -> None:
        names = [name for name in names if name in space]
        if group_digest({name: digest(space[name]) for name in names}) not in known:
            raise AutoperfError(_UNKNOWN)
        self.space = space
        self._trusted = {name: space[name] for name in names}
        self._switch, self._holds = switch, True

    @classmethod
    def on_module(cls, original: Any, known: Collection[str], switch: Switch) -> Reliance:
        """All functions in the module that defines ``original``, which is about to be replaced, but this one.

        Also those it took over from elsewhere. Raises `AutoperfError` unless the digest of the module's
        source is among the ``known``.
        """
        module = sys.modules[original.__module__]
        if digest(module) not in known:
            raise AutoperfError(_UNKNOWN)
        found = cls.__new__(cls)
        found.space = vars(module)
        found._switch, found._holds = switch, True
        found._trusted = {
            name: value
            for name, value in found.space.items()
            if type(value) is FunctionType and value is not original
        }
        return found

    def holds(self) -> bool:
        """Whether nobody but us has put something else in the place of one of them."""
        space, trusted = self.space, self._trusted
        for name, function in trusted.items():
            if space.get(name) is not function:
                return self._only_ours()
        if not self._holds:
            self._holds = True
            self._switch.act_again()
        return True

    def _only_ours(self) -> bool:
        for name, function in list(self._trusted.items()):
            current = self.space.get(name, _MISSING)
            if without_ours(current) is not without_ours(function):
                self._holds = False
                self._switch.stand_aside(f"{name}, which it relies on, was replaced")
                return False
            self._trusted[name] = current
        return True


def without_ours(function: Any) -> Any:
    """What lies under wrappers of ours, as far as only they lie on top."""
    while True:
        made_by = getattr(function, "_self_wrapper", None) if _is_wrapt(function) else function
        if not isinstance(made_by, FunctionType) or not made_by.__code__.co_filename.startswith(_OURS):
            return function
        function = getattr(function, "__wrapped__", None)


def _is_wrapt(function: Any) -> bool:
    return type(function) in (wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper)
