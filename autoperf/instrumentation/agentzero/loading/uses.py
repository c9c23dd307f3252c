"""How the code of a module uses the classes and functions that the module defines itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
# What reaches a class, a function or a namespace by another way than its name.
_REFLECTION: Final = frozenset(
    {"setattr", "delattr", "globals", "locals", "vars", "exec", "eval", "fget", "fset", "fdel", "f_globals"}
    | {"f_locals", "f_back", "tb_frame", "gi_frame", "cr_frame", "ag_frame", "_getframe", "currentframe"}
)
_HARMLESS_DUNDERS: Final = frozenset(
    {"__name__", "__qualname__", "__module__", "__file__", "__debug__", "__init__", "__main__", "__version__"}
    | {"__aenter__", "__aexit__", "__enter__", "__exit__", "__future__"}
)
_NAMES_OF_TYPES: Final = ("__name__", "__qualname__", "__module__")


class Uses:
    """How a module's own classes and functions are used by the code it defines."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        functions = [n for n in ast.walk(tree) if isinstance(n, FUNCTIONS)]
        self._static = {f.name for f in functions if "staticmethod" in map(dotted, f.decorator_list)}
        self._functions = {f.name for f in functions}
        self._own = {n.name for n in tree.body if isinstance(n, DEFINITIONS)} | {
            f.args.args[0].arg
            for f in functions
            if f.args.args and "classmethod" in map(dotted, f.decorator_list)
        }

    def stateless(self) -> bool:
        """Whether no class, function or namespace of the module is within reach as a thing to be changed.

        Own classes compared with instances of an earlier execution (isinstance, except, match) would answer
        differently as well: they may be constructed, subclassed and annotated with, no more.
        """
        allowed = {id(node) for node in self._harmless()}
        return all(id(node) in allowed or self._stateless(node) for node in ast.walk(self._tree))

    def _stateless(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id not in self._own and node.id != "type" and plain_name(node.id)
        if isinstance(node, ast.Attribute):
            touched = not isinstance(node.ctx, ast.Load) and dotted(node.value).partition(".")[0] in self._own
            raw = node.attr in self._static or (
                node.attr in self._functions and dotted(node.value).partition(".")[0] in self._own
            )
            return plain_name(node.attr) and not touched and not raw
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return plain_name(node.value) or not node.value.isidentifier()
        return not isinstance(node, ast.Global)

    def _harmless(self) -> Iterator[ast.AST]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                yield from self._called(node)
            elif isinstance(node, ast.ClassDef):
                yield from node.bases
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(node)
            elif isinstance(node, ast.AnnAssign):
                yield from ast.walk(node.annotation)
            elif isinstance(node, FUNCTIONS):
                yield from (inner for annotation in annotations_of(node) for inner in ast.walk(annotation))

    def _called(self, node: ast.Call) -> Iterator[ast.AST]:
        name = dotted(node.func)
        # With another object than its own it tells one of this execution from one of an earlier one.
        if name == "super" and len(node.args) == 2 and dotted(node.args[1]) in ("self", "cls"):
            yield node.args[0]
        last = name.rpartition(".")[2]
        if name != "type" and (last in self._own or last in self._functions) and plain_name(last):
            yield node.func

    def _attribute(self, node: ast.Attribute) -> Iterator[ast.AST]:
        value = node.value
        if isinstance(node.ctx, ast.Load) and isinstance(value, ast.Name) and value.id in self._own:
            yield value
        if node.attr in _NAMES_OF_TYPES and isinstance(node.ctx, ast.Load):
            if isinstance(value, ast.Call) and dotted(value.func) == "type" and len(value.args) == 1:
                yield value.func
            if isinstance(value, ast.Attribute) and value.attr == "__class__":
                yield value


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a chain of names, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def plain_name(name: str) -> bool:
    """Whether the name leads to no class, function or namespace by another way than its own name."""
    dunder = name.startswith("__") and name.endswith("__") and len(name) > 4
    return name not in _REFLECTION and (not dunder or name in _HARMLESS_DUNDERS)


def annotations_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    """The annotations of a function's parameters and of what it returns."""
    arguments = node.args
    every = (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    )
    yield from (a.annotation for a in every if a is not None and a.annotation is not None)
    if node.returns is not None:
        yield node.returns
