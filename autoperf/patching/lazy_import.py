"""Imports of one module that wait until their name is used: no stand-in, the statement is run later."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple

Statement = ast.Import | ast.ImportFrom
# What a name that waits becomes in the code of its module.
_USE: Final = "__autoperf_imported__"
# Whoever reads the names of a module in another way than by using them would miss one that waits.
_LOOK_AROUND: Final = frozenset(
    {"globals", "vars", "locals", "dir()", "eval", "exec", "__dict__", "__getattr__", "__dir__", "__all__"}
)


class Deferrable(NamedTuple):
    """The code of a module without some of its imports, and these, compiled, by the name they bind."""

    code: CodeType
    waiting: dict[str, tuple[CodeType, ...]]


def split(tree: ast.Module, filename: str, may_wait: Callable[[Statement], bool]) -> Deferrable | None:
    """Take the imports out of a module's tree for which ``may_wait`` says yes; None when there are none.

    Only statements at the very top level qualify, and only where their names are bound in no other way and
    in no other scope, and where no annotation holds them as text. Raises what compiling raises.
    """
    if _LOOK_AROUND.intersection(_mentioned(tree)):
        return None
    chosen = [node for node in tree.body if isinstance(node, Statement) and _plain(node) and may_wait(node)]
    kept = {name for node in ast.walk(tree) if node not in chosen for name in _binds(node)}
    kept |= _annotated(tree)
    while mixed := [node for node in chosen if any(_fixed(name, kept) for name in _binds(node))]:
        kept |= {name for node in mixed for name in _binds(node)}
        chosen = [node for node in chosen if node not in mixed]
    if not chosen:
        return None
    waiting: dict[str, tuple[CodeType, ...]] = {}
    for node in chosen:
        code = compile(ast.Module([node], []), filename, "exec", dont_inherit=True)
        for name in _binds(node):
            waiting[name] = (*waiting.get(name, ()), code)
    tree.body = [ast.copy_location(ast.Pass(), node) if node in chosen else node for node in tree.body]
    _Uses(waiting).visit(tree)
    return Deferrable(compile(ast.fix_missing_locations(tree), filename, "exec", dont_inherit=True), waiting)


def packages(node: Statement) -> list[str]:
    """The top-level packages that a statement imports from."""
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]]
    return [alias.name.partition(".")[0] for alias in node.names]


def _plain(node: Statement) -> bool:
    if isinstance(node, ast.Import):
        return True
    return node.level == 0 and node.module != "__future__" and all(alias.name != "*" for alias in node.names)


def _fixed(name: str, kept: set[str]) -> bool:
    # In a class body Python gives a name with two underscores another spelling.
    return name in kept or name.startswith("__")


def _mentioned(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute) and node.attr == "__dict__":
            yield node.attr
        elif isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Name):
            yield f"{node.func.id}()"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node in getattr(tree, "body", ()):
            yield node.name


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that a node binds or unbinds, in whichever scope; one too many does no harm."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        yield from node.names
    elif isinstance(node, ast.arg):
        yield node.arg
    elif not isinstance(node, ast.alias):
        # Functions, classes, type parameters, `except ... as`, captures of `case`.
        for field in ("name", "rest"):
            if isinstance(name := getattr(node, field, None), str):
                yield name


def _annotated(tree: ast.Module) -> set[str]:
    """The words of all annotations that are text, or become text."""
    texts = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    words: set[str] = set()
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            annotation = getattr(node, field, None)
            if not isinstance(annotation, ast.AST):
                continue
            strings = [part.value for part in ast.walk(annotation) if isinstance(part, ast.Constant)]
            strings += [ast.unparse(annotation)] if texts else []
            for string in strings:
                words |= set(re.findall(r"\w+", string)) if isinstance(string, str) else set()
    return words


class _Uses(ast.NodeTransformer):
    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._names:
            return node
        call = ast.Call(ast.Name(_USE, ast.Load()), [ast.Constant(node.id)], [])
        for part in (call, call.func, call.args[0]):
            ast.copy_location(part, node)
        return call


class Imports:
    """The imports of one module that wait; `prepare` makes its code find them."""

    def __init__(self, module: ModuleType, waiting: dict[str, tuple[CodeType, ...]]) -> None:
        self._names = vars(module)
        self._waiting = waiting

    def use(self, name: str) -> Any:
        """What the module's code means by ``name``: imported now, if not yet. Raises what that raises.

        Two threads may both run the statement, as they may both import anything; Python does it once.
        """
        try:
            return self._names[name]
        except KeyError:
            pass
        for code in self._waiting[name]:
            exec(code, self._names)
        return self._names[name]

    def attribute(self, name: str) -> Any:
        """For ``module.name``: the module's ``__getattr__``."""
        if name in self._waiting:
            return self.use(name)
        module = self._names["__name__"]
        raise AttributeError(
            f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules.get(module)
        )

    def listing(self) -> list[str]:
        """For ``dir(module)``: what waits is there, what is ours is not."""
        return sorted({*self._names, *self._waiting} - {_USE, "__getattr__", "__dir__"})


def prepare(module: ModuleType, waiting: dict[str, tuple[CodeType, ...]]) -> Imports:
    """Give ``module``, before its code is executed, what that code finds its imports with."""
    imports = Imports(module, waiting)
    vars(module).update({_USE: imports.use, "__getattr__": imports.attribute, "__dir__": imports.listing})
    return imports
