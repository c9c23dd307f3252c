"""A host module's functions as they are without our patches, beside the patched ones and out of their way."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

from autoperf.patching.patch import Applied


def bare_namespace(
    module: ModuleType, rows: Iterable[Applied], others: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """The names of ``module`` with the originals of our patches, its functions calling each other there.

    Nothing is executed, and the module itself stays as it is. ``others`` are such namespaces of modules that
    its functions import when they are called, by their full names.
    """
    space = dict(vars(module))
    for row in rows:
        if row.state == "applied" and row.owner is module:
            space[row.patch.path[-1]] = row.raw
    if others:
        space["__builtins__"] = {**vars(builtins), "__import__": _importing(others)}
    for name, value in list(space.items()):
        if type(value) is FunctionType and value.__globals__ is vars(module):
            space[name] = rebound(value, space)
    return space


def rebound(function: FunctionType, space: dict[str, Any]) -> FunctionType:
    """``function`` once more, looking its globals up in ``space``."""
    copy = FunctionType(
        function.__code__, space, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    return copy


def stand_in(module: ModuleType, space: Mapping[str, Any]) -> ModuleType:
    """A module object that has the names of ``space``."""
    made = ModuleType(module.__name__)
    vars(made).update(space)
    return made


def _importing(others: Mapping[str, Mapping[str, Any]]) -> Any:
    real = builtins.__import__

    def import_(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        found = real(name, globals, locals, fromlist, level)
        parts = {part: others[f"{name}.{part}"] for part in fromlist or () if f"{name}.{part}" in others}
        if not parts:
            return found
        replaced = {part: SimpleNamespace(**space) for part, space in parts.items()}
        return SimpleNamespace(**{part: getattr(found, part) for part in fromlist} | replaced)

    return import_
