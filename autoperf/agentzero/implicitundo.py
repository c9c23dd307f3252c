"""Functions of ours that a decorator has left all over the host, and the way back to the host's own."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary


class Decorated:
    """Knows them without keeping them: modules of the host are executed again and again."""

    def __init__(self) -> None:
        self._functions: WeakKeyDictionary[FunctionType, tuple[Any, Any]] = WeakKeyDictionary()

    def add(self, function: FunctionType, func: Any, host: Any) -> None:
        """``function`` stands for ``host``, which the host's decorator has made of ``func``."""
        self._functions[function] = func, host

    def undo(self) -> None:
        """Put the host's own where ours is: where it was defined, and wherever a module has it by name.

        One that is kept anywhere else only passes on.
        """
        known = list(self._functions.items())
        hosts = {function: host for function, (_, host) in known}
        for function, (func, host) in known:
            _replace(function, func, host)
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None)
            if isinstance(module, ModuleType) and isinstance(names, dict):
                for name, value in list(names.items()):
                    if type(value) is FunctionType and value in hosts:
                        names[name] = hosts[value]
        self._functions.clear()


def _replace(function: FunctionType, func: Any, host: Any) -> None:
    """In the class or the module, which may be in no list of modules, that the definition stands in."""
    space = func.__globals__
    *owners, name = function.__qualname__.split(".")
    owner: Any = None
    for part in owners:
        owner = space.get(part)
        if not isinstance(owner, type):
            return
        space = vars(owner)
    raw = space.get(name)
    if isinstance(raw, (staticmethod, classmethod)) and raw.__func__ is function:
        setattr(owner, name, type(raw)(host))
    elif raw is function and owner is not None:
        setattr(owner, name, host)
    elif raw is function:
        space[name] = host
