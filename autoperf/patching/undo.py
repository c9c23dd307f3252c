"""Functions of ours that a decorator has left all over the host, and the way back to the host's own."""

from __future__ import annotations

import sys
import weakref
from types import FunctionType, ModuleType
from typing import Any

from autoperf.errors.fence import inside


class Decorated:
    """Knows them without keeping them: modules of the host are executed again and again."""

    def __init__(self) -> None:
        self._functions: weakref.WeakSet[FunctionType] = weakref.WeakSet()

    def add(self, function: FunctionType) -> None:
        """``function`` was made by `fenced` for one that the host's decorator has made of ``__wrapped__``."""
        self._functions.add(function)

    def undo(self) -> None:
        """Put the host's own where ours is: where it was defined, and wherever a module has it by name.

        One that is kept anywhere else only passes on.
        """
        found = ((function, inside(function)) for function in list(self._functions))
        hosts = {function: parts[1] for function, parts in found if parts is not None}
        for function, host in hosts.items():
            _replace(function, host)
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None)
            if isinstance(module, ModuleType) and isinstance(names, dict):
                for name, value in list(names.items()):
                    if type(value) is FunctionType and value in hosts:
                        names[name] = hosts[value]
        self._functions.clear()


def _replace(function: FunctionType, host: Any) -> None:
    """In the class or the module, which may be in no list of modules, that the definition stands in."""
    space = vars(function)["__wrapped__"].__globals__
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
