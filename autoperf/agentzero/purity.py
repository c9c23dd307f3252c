"""Whether a module loaded by path holds state, so that executing it again would matter."""

from __future__ import annotations

import ast
import enum
import re
import sys
import types
from collections.abc import Iterator
from typing import Any, Final

_MISSING: Final = object()
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
    property,
)
_INERT_CALLS: Final = frozenset({"re.compile", "TypeVar", "typing.TypeVar", "frozenset"})
_INERT_DECORATORS: Final = frozenset(
    {"staticmethod", "classmethod", "property", "abstractmethod", "abc.abstractmethod", "override", "typing.override"}
)
# What Python itself keeps in a namespace, or fills in later.
_BOOKKEEPING: Final = frozenset(
    {
        "__builtins__",
        "__annotations__",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__loader__",
        "__spec__",
        "__dict__",
        "__weakref__",
        "__path__",
        "__doc__",
        "__abstractmethods__",
        "_abc_impl",
        "__static_attributes__",
        "__type_params__",
        "__orig_bases__",
        "__parameters__",
    }
)


class Imported:
    """A name a module body bound by an import: ``from source import attribute`` or ``import source``."""

    __slots__ = ("attribute", "bound", "source")

    def __init__(self, source: str, attribute: str | None, bound: str) -> None:
        self.source = source
        self.attribute = attribute
        self.bound = bound

    def current(self) -> Any:
        """What the import would bind now, without importing anything."""
        module = sys.modules.get(self.source, _MISSING)
        if self.attribute is None or module is _MISSING:
            return module
        return getattr(module, self.attribute, _MISSING)


class Guard:
    """Holds as long as reusing the module cannot be told from executing it again.

    Built right after the module was executed. ``holds()`` is false once a name in the module or in one of
    its classes was rebound, or once one of its imports would bind something else.
    """

    __slots__ = ("_imports", "_spaces")

    def __init__(self, module: types.ModuleType, imports: list[Imported]) -> None:
        spaces: list[Any] = [module, *_own_classes(module)]
        self._spaces = [(space, dict(vars(space))) for space in spaces]
        self._imports = [(name, vars(module).get(name.bound, _MISSING)) for name in imports]

    def holds(self) -> bool:
        """Whether nothing has changed. Microseconds; imports nothing."""
        for space, before in self._spaces:
            now = vars(space)
            if len(now) != len(before):
                return False
            for name, value in now.items():
                if before.get(name, _MISSING) is not value and name not in _BOOKKEEPING:
                    return False
        return all(name.current() is value for name, value in self._imports)


def guard(module: types.ModuleType, source: bytes) -> Guard | None:
    """A guard for a module just executed from ``source``, or None when the module may hold state.

    Two tests must both pass: the body does nothing but import, define and assign constants, and what it
    left behind is of types that cannot change. When in doubt the answer is None: executing again is
    always right, only slower. Raises ``SyntaxError`` for a source that is not Python.
    """
    tree = ast.parse(source)
    imports: list[Imported] = []
    if not all(_inert_statement(node, imports) for node in tree.body):
        return None
    if not _classes_only_used_to_construct(tree) or _keeps_state_on_functions(tree):
        return None
    bound = {name.bound for name in imports}
    classes = _own_classes(module)
    for space in (module, *classes):
        for name, value in vars(space).items():
            if name in _BOOKKEEPING or (space is module and name in bound):
                continue
            if not _inert_value(value, classes):
                return None
    return Guard(module, imports)


def _own_classes(module: types.ModuleType) -> list[type]:
    name = module.__name__
    return [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == name]


def _inert_value(value: Any, classes: list[type]) -> bool:
    if isinstance(value, _INERT_TYPES):
        return True
    if isinstance(value, (tuple, frozenset)):
        return all(_inert_value(item, classes) for item in value)
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, types.FunctionType):
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        cells_are_classes = all(isinstance(c.cell_contents, type) for c in value.__closure__ or ())
        extras = set(vars(value)) - {"__isabstractmethod__", "__override__"}
        return cells_are_classes and not extras and all(_inert_value(d, classes) for d in defaults)
    if isinstance(value, type):
        return value in classes
    return type(value).__module__ == "typing"


def _inert_statement(node: ast.stmt, imports: list[Imported]) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return _inert_import(node, imports)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return _inert_function(node)
    if isinstance(node, ast.ClassDef):
        plain = not node.decorator_list and not node.keywords
        return plain and all(_inert_expression(b) for b in node.bases) and all(
            not isinstance(n, (ast.Import, ast.ImportFrom)) and _inert_statement(n, imports) for n in node.body
        )
    if isinstance(node, ast.Assign):
        return all(isinstance(t, ast.Name) for t in node.targets) and _inert_expression(node.value)
    if isinstance(node, ast.AnnAssign):
        # Annotations are evaluated at module level; names and subscripts only, so nothing happens by it.
        return (
            isinstance(node.target, ast.Name)
            and _inert_expression(node.annotation)
            and (node.value is None or _inert_expression(node.value))
        )
    if isinstance(node, ast.If):
        return _dotted(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") and not node.orelse
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _inert_import(node: ast.Import | ast.ImportFrom, imports: list[Imported]) -> bool:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                imports.append(Imported(alias.name, None, alias.asname))
            else:
                top = alias.name.partition(".")[0]
                imports.append(Imported(top, None, top))
        return True
    if node.level or node.module is None or any(alias.name == "*" for alias in node.names):
        return False
    if node.module != "__future__":
        imports += [Imported(node.module, a.name, a.asname or a.name) for a in node.names]
    return True


def _inert_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = node.args
    defaults = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
    if not all(_inert_expression(d) for d in defaults):
        return False
    if any(_dotted(d) not in _INERT_DECORATORS for d in node.decorator_list):
        return False
    return not any(isinstance(inner, ast.Global) for inner in ast.walk(node))


def _inert_expression(node: ast.expr) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            if _dotted(inner.func) not in _INERT_CALLS:
                return False
        elif isinstance(inner, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda)) or (
            isinstance(inner, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp))
        ):
            return False
    return True


def _classes_only_used_to_construct(tree: ast.Module) -> bool:
    # A class of the module compared with instances of an earlier execution (isinstance, except, match)
    # would answer differently when it is reused: it may be constructed, subclassed and annotated with.
    own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    allowed = {id(n) for n in _harmless_uses(tree)}
    used = (n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in own)
    return all(id(name) in allowed for name in used)


def _keeps_state_on_functions(tree: ast.Module) -> bool:
    # ``helper.calls += 1``: a rebinding on a function object does not show in any namespace we compare.
    own = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            base = node.value
            if _dotted(base).rpartition(".")[2] in own or _dotted(base).endswith("__func__"):
                return True
        elif isinstance(node, ast.Call) and _dotted(node.func) in ("setattr", "globals", "vars", "exec", "eval"):
            return True
    return False


def _harmless_uses(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func
            if _dotted(node.func) == "super" and node.args:
                yield node.args[0]
        elif isinstance(node, ast.ClassDef):
            yield from node.bases
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.value
        elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            yield from ast.walk(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            yield from ast.walk(node.returns)


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""
