"""Whether executing a module's source does nothing but bring its names into being."""

from __future__ import annotations

import abc
import ast
import builtins
import contextlib
import re
import types
import typing
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from autoperf.instrumentation.agentzero.loading.uses import (
    DEFINITIONS,
    FUNCTIONS,
    Uses,
    annotations_of,
    dotted,
)

_CALLS: Final = (re.compile, frozenset)
_DECORATORS: Final = (
    staticmethod,
    classmethod,
    property,
    abc.abstractmethod,
    getattr(typing, "override", property),
)
_CONTAINERS: Final = (list, dict, tuple, set, frozenset, type)
_ATOMS: Final = (int, float, complex, str, bytes, bool, type(None))
_CONSTANT_NODES: Final = (
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.UnaryOp,
    ast.BinOp,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.operator,
    ast.unaryop,
    ast.Load,
)
# Called when a class is made or subclassed, or with the class in the place of an instance.
_CLASS_HOOKS: Final = frozenset({"__init_subclass__", "__class_getitem__", "__new__", "__set_name__"})
_OPERATOR: Final = re.compile("__(eq|ne|lt|le|gt|ge|r(?!epr)[a-z]{2,8})__")


class Definitions:
    """One module's source, looked at together with the namespace it left behind.

    ``imports`` are the (source, attribute, bound name) of its imports, ``reads`` the dotted names its body
    evaluated; both must answer the same later for a second execution to be the same.
    """

    def __init__(self, tree: ast.Module, namespace: Mapping[str, Any]) -> None:
        self.imports: list[tuple[str, str | None, str]] = []
        self.reads: set[str] = set()
        self._tree = tree
        self._namespace = namespace
        self._postponed = any(
            isinstance(n, ast.ImportFrom)
            and n.module == "__future__"
            and any(a.name == "annotations" for a in n.names)
            for n in tree.body
        )

    def inert(self) -> bool:
        """Whether executing the body has no effect but its names, and nothing it defines can hold state."""
        return self._block(self._tree.body, nested=False) and Uses(self._tree).stateless()

    def _block(self, body: list[ast.stmt], *, nested: bool) -> bool:
        if nested and any(isinstance(node, (ast.Import, ast.ImportFrom, ast.ClassDef)) for node in body):
            return False
        bound = list(_bound(body))
        return len(bound) == len(set(bound)) and all(map(self._statement, body))

    def _statement(self, node: ast.stmt) -> bool:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return self._import(node)
        if isinstance(node, FUNCTIONS):
            return self._function(node)
        if isinstance(node, ast.ClassDef):
            plain = not node.decorator_list and not node.keywords and not getattr(node, "type_params", None)
            named = plain and all(map(self._name, node.bases)) and not self._takes_precedence(node)
            return named and self._block(node.body, nested=True)
        if isinstance(node, ast.Assign):
            return all(isinstance(t, ast.Name) for t in node.targets) and self._value(node.value)
        if isinstance(node, ast.AnnAssign):
            value = node.value is None or self._value(node.value)
            return isinstance(node.target, ast.Name) and value and self._annotation(node.annotation)
        if isinstance(node, ast.If):
            return not node.orelse and self._name(node.test) and self._resolved(node.test) is False
        return isinstance(node, ast.Pass) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )

    def _takes_precedence(self, node: ast.ClassDef) -> bool:
        """Whether Python prefers its operators to those of a base, which it is not of an earlier one."""
        own = {n.name for n in self._tree.body if isinstance(n, ast.ClassDef)}
        return any(dotted(base) in own for base in node.bases) and any(
            isinstance(n, FUNCTIONS) and _OPERATOR.fullmatch(n.name) for n in node.body
        )

    def _import(self, node: ast.Import | ast.ImportFrom) -> bool:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.imports.append((alias.name if alias.asname else top, None, alias.asname or top))
                if "." in alias.name:
                    self.imports.append((alias.name, None, ""))
            return True
        if node.level or node.module is None or any(alias.name == "*" for alias in node.names):
            return False
        if node.module != "__future__":
            self.imports += [(node.module, a.name, a.asname or a.name) for a in node.names]
        return True

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        if node.name in _CLASS_HOOKS or getattr(node, "type_params", None):
            return False
        arguments = node.args
        defaults = [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]
        known = all(self._name(d) and self._resolved(d) in _DECORATORS for d in node.decorator_list)
        return known and all(map(self._value, defaults)) and all(map(self._annotation, annotations_of(node)))

    def _value(self, node: ast.expr) -> bool:
        if self._constant(node) or self._name(node):
            return True
        if isinstance(node, ast.Tuple):
            return all(map(self._value, node.elts))
        if isinstance(node, ast.Call) and not node.keywords and self._name(node.func):
            return self._resolved(node.func) in _CALLS and all(map(self._constant, node.args))
        return False

    def _constant(self, node: ast.expr) -> bool:
        return all(
            type(self._resolved(n)) in _ATOMS if isinstance(n, ast.Name) else isinstance(n, _CONSTANT_NODES)
            for n in ast.walk(node)
        )

    def _name(self, node: ast.expr) -> bool:
        """Whether reading this name does nothing; what lies in another module is noted."""
        if isinstance(node, ast.Name):
            return True
        if not isinstance(node, ast.Attribute):
            return False
        self.reads.add(dotted(node))
        return read(self._namespace, dotted(node)) is not MISSING

    def _resolved(self, node: ast.expr) -> Any:
        return read(self._namespace, dotted(node))

    def _annotation(self, node: ast.expr) -> bool:
        if self._postponed or isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.Subscript):
            return (
                self._name(node.value)
                and _generic(self._resolved(node.value))
                and self._annotation(node.slice)
            )
        if isinstance(node, (ast.Tuple, ast.List)):
            return all(map(self._annotation, node.elts))
        if isinstance(node, ast.BinOp):
            sides = (node.left, node.right)
            return isinstance(node.op, ast.BitOr) and all(
                self._annotation(s) and self._joinable(s) for s in sides
            )
        return self._name(node)

    def _joinable(self, node: ast.expr) -> bool:
        if isinstance(node, (ast.Constant, ast.Subscript, ast.BinOp)):
            return True
        value = self._resolved(node)
        return type(value) in (type, abc.ABCMeta) or _generic(value)


MISSING: Final = object()
_SOURCE_NAME: Final = "autoperf-reads-source"
# A row of `warnings.filters`: action, text, category, module, line.
_UNSAID: Final = ("ignore", None, Warning, re.compile(_SOURCE_NAME), 0)


def parsed(source: bytes) -> ast.Module:
    """The tree of a source; what Python warns of in it has been said when the host compiled it, or will be.

    Raises ``SyntaxError`` or ``ValueError`` for what is not Python.
    """
    # For this one file name, and past `filterwarnings`, which makes every warning that the process has seen
    # once be shown again; `catch_warnings` would change what other threads see besides.
    filters: list[Any] = warnings.filters  # type: ignore[assignment]  # a sequence, says its stub
    filters.insert(0, _UNSAID)
    try:
        return ast.parse(source, _SOURCE_NAME)
    except (RecursionError, MemoryError):  # what the parser raises for too deep a nesting
        raise SyntaxError("too complex to be parsed", (_SOURCE_NAME, 1, None, None)) from None
    finally:
        with contextlib.suppress(ValueError):  # emptied by somebody meanwhile
            filters.remove(_UNSAID)


def read(namespace: Mapping[str, Any], name: str) -> Any:
    """What a dotted name leads to without any code being run: through modules only; else `MISSING`."""
    first, *rest = name.split(".")
    value = namespace.get(first, vars(builtins).get(first, MISSING))
    for attribute in rest:
        if type(value) is not types.ModuleType:
            return MISSING
        value = vars(value).get(attribute, MISSING)
    return value


def _generic(value: Any) -> bool:
    if isinstance(value, type):
        return value in _CONTAINERS or value.__module__ in ("collections", "collections.abc")
    return type(value).__module__ == "typing"


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    # A name bound twice has held something that no look at the finished namespace can show.
    packages: set[str] = set()
    for node in body:
        if isinstance(node, DEFINITIONS):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names if not alias.asname}
            yield from (alias.asname for alias in node.names if alias.asname)
    yield from packages
