"""Whether a module that was executed, and what its body looked at, are still as they were then."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, Final

from autoperf.agentzero.definitions import MISSING, read

# Filled in by Python itself when first asked for.
LAZY: Final = frozenset({"__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__"})
# Of these one may equal another that is not the same: 1 and True, two lists.
_EQUAL_TO_OTHERS: Final = (int, float, complex, tuple, frozenset, list, dict, set, bytearray)


class Imported:
    """A name a module body bound by an import: ``from source import attribute`` or ``import source``.

    An empty ``bound`` stands for a submodule that was imported without getting a name.
    """

    __slots__ = ("attribute", "bound", "source")

    def __init__(self, source: str, attribute: str | None, bound: str) -> None:
        self.source = source
        self.attribute = attribute
        self.bound = bound

    def current(self) -> Any:
        """What the import would bind now, without importing anything."""
        module = sys.modules.get(self.source, MISSING)
        if self.attribute is None or module is MISSING:
            return module
        return getattr(module, self.attribute, MISSING)


class Guard:
    """Holds as long as reusing the module cannot be told from executing it again.

    Built right after the module was executed. ``holds()`` is false once a name in the module, in one of its
    classes or on one of its functions was rebound, once something in one of its own tables changed, or once
    one of its imports, or a name it read from another module, would give something else.
    """

    __slots__ = ("_functions", "_imports", "_looks", "_module", "_reads", "_spaces", "_tables")

    def __init__(
        self,
        module: types.ModuleType,
        imports: list[Imported],
        reads: Iterable[str],
        tables: Iterable[Any] = (),
    ) -> None:
        spaces: list[Any] = [module, *own_classes(module)]
        self._module = module
        self._spaces = [(space, {n: v for n, v in vars(space).items() if n not in LAZY}) for space in spaces]
        self._looks = [_Look(vars(space)) for space in spaces]
        functions = [f for space in spaces for value in vars(space).values() for f in functions_of(value)]
        self._functions = functions, [_state(function) for function in functions]
        bound = [(name, vars(module)[name.bound] if name.bound else name.current()) for name in imports]
        self._imports = Imports(bound)
        self._reads = [(name, read(vars(module), name)) for name in reads]
        self._tables = [(table, _look_into(table)) for table in tables]

    def holds(self) -> bool:
        """Whether nothing has changed. Microseconds; imports nothing."""
        functions, states = self._functions
        if [*map(_PARTS, functions)] != states:
            return False
        for (space, before), look in zip(self._spaces, self._looks, strict=True):
            if not look.same(vars(space)) and not _same_but_lazy(vars(space), before):
                return False
        for table, look in self._tables:
            if _look_into(table) != look:
                return False
        for name, value in self._reads:
            if read(vars(self._module), name) is not value:
                return False
        return self._imports.hold()


class Imports:
    """What the imports gave, in columns: looked at by built-in functions alone, for there may be dozens."""

    __slots__ = ("_attributes", "_ids", "_modules", "_never", "_owners", "_sources", "_values")

    def __init__(self, bound: list[tuple[Imported, Any]]) -> None:
        self._sources = [name.source for name, _ in bound]
        self._modules = [sys.modules.get(source, MISSING) for source in self._sources]
        whole = [(name, value) for name, value in bound if name.attribute is None]
        parts = [(name, value) for name, value in bound if name.attribute is not None]
        self._owners = [sys.modules.get(name.source, MISSING) for name, _ in parts]
        self._attributes = [str(name.attribute) for name, _ in parts]
        self._values = [value for _, value in parts]
        # Kept, so that no other object can ever have the same id.
        self._ids = (
            [*map(id, self._values)] if any(isinstance(v, _EQUAL_TO_OTHERS) for v in self._values) else None
        )
        self._never = any(sys.modules.get(name.source, MISSING) is not value for name, value in whole)

    def hold(self) -> bool:
        """Whether they would give the same again."""
        if self._never or [*map(sys.modules.get, self._sources)] != self._modules:
            return False
        try:
            values = [*map(getattr, self._owners, self._attributes)]
        except AttributeError:
            return False
        return values == self._values if self._ids is None else [*map(id, values)] == self._ids


class _Look:
    """A namespace at one moment. Comparing lists stops at identity, which for most values is all there is."""

    __slots__ = ("_doubtful", "_names", "_values")

    def __init__(self, names: Any) -> None:
        self._names, self._values = [*names], [*names.values()]
        self._doubtful = [
            (name, value) for name, value in names.items() if isinstance(value, _EQUAL_TO_OTHERS)
        ]

    def same(self, names: Any) -> bool:
        """Whether the same names hold the same objects, in the same order."""
        if [*names] != self._names or [*names.values()] != self._values:
            return False
        for name, value in self._doubtful:  # noqa: SIM110 - a generator costs more than the look
            if names.get(name) is not value:
                return False
        return True


def _look_into(table: Any) -> Any:
    return (list(table), list(table.values())) if isinstance(table, dict) else list(table)


def _same_but_lazy(names: Any, before: dict[str, Any]) -> bool:
    # Python fills in some names when first asked for them.
    now = {name: value for name, value in names.items() if name not in LAZY}
    return now.keys() == before.keys() and all(value is before[name] for name, value in now.items())


def own_classes(module: types.ModuleType) -> list[type]:
    name = module.__name__
    return [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == name]


def functions_of(value: Any) -> list[types.FunctionType]:
    return [function for function in _behind(value) if isinstance(function, types.FunctionType)]


def _behind(value: Any) -> Iterator[Any]:
    if isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    else:
        yield value.__func__ if isinstance(value, (staticmethod, classmethod)) else value


_PARTS: Final = attrgetter("__code__", "__defaults__", "__kwdefaults__", "__dict__")


def _state(function: types.FunctionType) -> tuple[Any, ...]:
    # With copies of what can be changed in place.
    code, defaults, keywords, names = _PARTS(function)
    return code, defaults, keywords if keywords is None else dict(keywords), dict(names)
