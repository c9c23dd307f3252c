"""Whether a module that was executed, and what its body looked at, are still as they were then."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from gc import get_referents
from operator import attrgetter, is_
from typing import Any, Final

from autoperf.instrumentation.agentzero.loading.definitions import MISSING, read
from autoperf.instrumentation.agentzero.loading.tool_watch import bare

# Filled in by Python itself when first asked for.
LAZY: Final = frozenset({"__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__"})


def same(now: list[Any], before: list[Any]) -> bool:
    """Whether both hold the very same objects in the same order; none of them is asked."""
    return len(now) == len(before) and all(map(is_, now, before))


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

    Built right after the module was executed. ``holds()`` is false once a name in it, in its classes or on
    its functions was rebound, once one of its own tables changed, or once one of its imports, or a name it
    read from another module, would give something else, or one of its bases would now act on a new class.
    """

    __slots__ = ("_bases", "_functions", "_glance", "_imports", "_module", "_reads", "_spaces")

    def __init__(self, module: types.ModuleType, imports: list[Imported], reads: Iterable[str]) -> None:
        spaces: list[Any] = [module, *own_classes(module)]
        self._module = module
        self._bases = _bases_elsewhere(spaces[1:])
        self._spaces = [(space, {n: v for n, v in vars(space).items() if n not in LAZY}) for space in spaces]
        functions = [f for space in spaces for value in vars(space).values() for f in functions_of(value)]
        self._functions = functions, [_state(function) for function in functions]
        bound = [(name, vars(module)[name.bound] if name.bound else name.current()) for name in imports]
        self._imports = Imports(bound)
        self._reads = [(name, read(vars(module), name)) for name in reads]
        self._glance = self._taken()

    def _taken(self) -> _Glance:
        return _Glance([vars(space) for space, _ in self._spaces], self._functions[0])

    def holds(self) -> bool:
        """Whether nothing has changed. Microseconds; imports nothing."""
        if not self._glance.same():
            if not self._same():
                return False
            self._glance = self._taken()
        for name, value in self._reads:
            if read(vars(self._module), name) is not value:
                return False
        for base in self._bases:
            if _HOOK in base.__dict__:
                return False
        return self._imports.hold()

    def _same(self) -> bool:
        """Whether all that differs is what Python fills in by itself."""
        functions, states = self._functions
        return all(
            same(_state(function), before) for function, before in zip(functions, states, strict=True)
        ) and all(_same_but_lazy(vars(space), before) for space, before in self._spaces)


class Imports:
    """What the imports gave, in columns: looked at by built-in functions alone, for there may be dozens."""

    __slots__ = ("_attributes", "_modules", "_never", "_owners", "_sources", "_values")

    def __init__(self, bound: list[tuple[Imported, Any]]) -> None:
        self._sources = [name.source for name, _ in bound]
        self._modules = [sys.modules.get(source, MISSING) for source in self._sources]
        whole = [(name, value) for name, value in bound if name.attribute is None]
        parts = [(name, value) for name, value in bound if name.attribute is not None]
        self._owners = [sys.modules.get(name.source, MISSING) for name, _ in parts]
        self._attributes = [str(name.attribute) for name, _ in parts]
        self._values = [value for _, value in parts]
        self._never = any(sys.modules.get(name.source, MISSING) is not value for name, value in whole)

    def hold(self) -> bool:
        """Whether they would give the same again."""
        modules = [*map(sys.modules.get, self._sources)]
        if self._never or not same(modules, self._modules):
            return False
        try:
            values = [*map(getattr, self._owners, self._attributes)]
        except AttributeError:
            return False
        return same(values, self._values)


class _Glance:
    """Namespaces and functions at one moment, all of them looked at by one built-in function.

    It gives what each refers to, in an order that stays: a function's code and defaults, a namespace's
    values, and its names where they are anything but text.
    """

    __slots__ = ("_found", "_keyed", "_keys", "_roots")

    def __init__(self, spaces: list[Any], functions: list[types.FunctionType]) -> None:
        # A class shows its names through a proxy, which refers to the real thing.
        names = [space if isinstance(space, dict) else get_referents(space)[0] for space in spaces]
        within = [part for f in functions for part in (f.__dict__, f.__kwdefaults__) if part is not None]
        self._roots = (*names, *functions, *within)
        self._found = get_referents(*self._roots)
        self._keyed = [space for space in (*names, *within) if space and isinstance(space, dict)]
        self._keys = [*map(list, self._keyed)]

    def same(self) -> bool:
        """Whether the same names hold the same objects, in the same order."""
        return same(get_referents(*self._roots), self._found) and [*map(list, self._keyed)] == self._keys


def _look_into(table: Any) -> list[Any]:
    return [*table, *table.values()] if isinstance(table, dict) else list(table)


def _same_but_lazy(names: Any, before: dict[str, Any]) -> bool:
    # Python fills in some names when first asked for them.
    now = {name: value for name, value in names.items() if name not in LAZY}
    return now.keys() == before.keys() and all(bare(value) is before[name] for name, value in now.items())


def own_classes(module: types.ModuleType) -> list[type]:
    name = module.__name__
    return [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == name]


def _bases_elsewhere(classes: list[type]) -> list[type]:
    found = {base: None for cls in classes for base in cls.__mro__ if base not in classes}
    return [base for base in found if base is not object and _HOOK not in vars(base)]


def functions_of(value: Any) -> list[types.FunctionType]:
    return [function for function in _behind(value) if isinstance(function, types.FunctionType)]


def _behind(value: Any) -> Iterator[Any]:
    if isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    else:
        yield value.__func__ if isinstance(value, (staticmethod, classmethod)) else value


_PARTS: Final = attrgetter("__code__", "__defaults__", "__kwdefaults__", "__dict__")
_HOOK: Final = "__init_subclass__"  # called whenever a class is made from its own


def _state(function: types.FunctionType) -> list[Any]:
    # With what is in the tables that can be changed in place; which those are is no matter.
    code, defaults, keywords, names = _PARTS(function)
    within = [(keywords is None, _look_into(keywords or {})), (False, _look_into(names))]
    return [code, defaults, *(one for absent, parts in within for one in (absent, len(parts), *parts))]
