"""Whether a module loaded by path holds state, so that executing it again would matter."""

from __future__ import annotations

import abc
import enum
import re
import types
from typing import Any, Final

from autoperf.instrumentation.agentzero.loading.definitions import Definitions, parsed, read
from autoperf.instrumentation.agentzero.loading.guards import (
    LAZY,
    Guard,
    Imported,
    Imports,
    functions_of,
    own_classes,
)
from autoperf.instrumentation.agentzero.loading.uses import plain_name

_INERT_TYPES: Final = (
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    type(None),
    type(Ellipsis),
    type(NotImplemented),
    re.Pattern,
    enum.Enum,
    types.ModuleType,
    types.BuiltinFunctionType,
    types.GenericAlias,
    types.UnionType,
)
_BOOKKEEPING: Final = LAZY | frozenset(
    {
        "__builtins__",
        "__loader__",
        "__spec__",
        "__dict__",
        "__weakref__",
        "__abstractmethods__",
        "_abc_impl",
        "__static_attributes__",
        "__type_params__",
    }
)
_OF_PYTHON: Final = frozenset({"builtins", "abc", "typing"})
# Bases of the host's own, in every generation; they keep nothing.
_OF_THE_HOST: Final = frozenset(
    f"{package}helpers.{name}"
    for package in ("", "python.")
    for name in ("tool.Tool", "extension.Extension", "files.VariablesPlugin")
)
_MARKS: Final = frozenset({"__isabstractmethod__", "__override__"})


class Judgement:
    """A source that does nothing but bring its names into being, as far as can be told without its values.

    ``code`` is what ran.
    """

    __slots__ = ("_bound", "_names", "_seen", "code", "imports", "reads")

    def __init__(self, module: types.ModuleType, code: types.CodeType | None, found: Definitions) -> None:
        self.code = code
        self.imports = [Imported(*row) for row in found.imports]
        self.reads = found.reads
        self._names = vars(module)
        self._bound = Imports([(n, self._names[n.bound] if n.bound else n.current()) for n in self.imports])
        self._seen = [(name, read(self._names, name)) for name in self.reads]

    def stands(self) -> bool:
        """Whether its imports, and what it reads in other modules, would give what they gave when judged."""
        return self._bound.hold() and all(read(self._names, name) is value for name, value in self._seen)

    def guard(self, module: types.ModuleType) -> Guard | None:
        """A guard for a module just executed, or None where it left something behind that can change."""
        bound = {name.bound for name in self.imports}
        if not bound <= {"", *vars(module)}:
            return None
        classes = own_classes(module)
        for space in (module, *classes):
            for name, value in vars(space).items():
                if name in _BOOKKEEPING or (space is module and name in bound):
                    continue
                if not _inert_value(value, classes):
                    return None
        return Guard(module, self.imports, self.reads)


def judge(
    module: types.ModuleType, source: bytes, executed: types.CodeType | None = None
) -> Judgement | None:
    """What executing ``source`` does, by what it says and the ``module`` it made; None when in doubt.

    ``executed`` is the code that really ran, where it is known: a bytecode file may be older than its source.
    Milliseconds. Raises ``SyntaxError`` for a source that is not Python.
    """
    tree = parsed(source)
    if executed is not None and compile(tree, executed.co_filename, "exec", dont_inherit=True) != executed:
        return None
    found = Definitions(tree, vars(module))
    if not found.inert():
        return None
    if any(bound and bound not in vars(module) for _, _, bound in found.imports):
        return None
    return Judgement(module, executed, found)


def guard(module: types.ModuleType, source: bytes, executed: types.CodeType | None = None) -> Guard | None:
    """A guard for a module just executed from ``source``, or None when the module may hold state.

    Two tests must both pass: the source does nothing but import, define and assign constants, and what it
    left behind is of types that cannot change. When in doubt the answer is None: executing again is
    always right, only slower. Raises ``SyntaxError`` for a source that is not Python.
    """
    judgement = judge(module, source, executed)
    return None if judgement is None else judgement.guard(module)


def _inert_value(value: Any, classes: list[type]) -> bool:
    if isinstance(value, _INERT_TYPES):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(_inert_value(item, classes) for item in value)
    functions = functions_of(value)
    if functions:
        return all(_inert_function(function, classes) for function in functions)
    if isinstance(value, type):
        return value in classes and _plain_class(value, classes)
    return False


def _plain_class(cls: type, classes: list[type]) -> bool:
    # A base or metaclass of another kind may keep count of the classes made from it.
    if type(cls) not in (type, abc.ABCMeta):
        return False
    return all(
        ("__init_subclass__" not in vars(base) or base.__module__ == "typing")
        and (base in classes or _known_base(base) or all(map(_blind_to_class, vars(base).items())))
        for base in cls.__mro__[:-1]
    )


def _known_base(base: type) -> bool:
    return base.__module__ in _OF_PYTHON or f"{base.__module__}.{base.__name__}" in _OF_THE_HOST


def _blind_to_class(named: tuple[str, Any]) -> bool:
    """Whether what another module's class defines keeps nothing by the class of an object.

    A count or a table by ``type(self)`` begins anew with every class that a module makes when executed.
    """
    name, value = named
    if isinstance(value, classmethod) or hasattr(value, "cache_info"):
        return False
    return name in _BOOKKEEPING or all(_names_no_class(f.__code__) for f in functions_of(value))


def _names_no_class(code: types.CodeType) -> bool:
    return all(name != "type" and plain_name(name) for name in code.co_names) and all(
        _names_no_class(inner) for inner in code.co_consts if isinstance(inner, types.CodeType)
    )


def _inert_function(function: types.FunctionType, classes: list[type]) -> bool:
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    cells_are_classes = all(isinstance(c.cell_contents, type) for c in function.__closure__ or ())
    return (
        cells_are_classes
        and set(vars(function)) <= _MARKS
        and all(_inert_value(d, classes) for d in defaults)
    )
