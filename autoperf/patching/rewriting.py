"""Functions of others compiled again from their own source, with a few expressions replaced.

Line and column of everything kept stay as they were: a traceback through such a function reads as before.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.patching.sources import source_lines

# inspect.CO_* of the future statements that a module was compiled with.
_FUTURES: Final = 0x1FE0000
_OUTER: Final = "autoperf_outer"


def recompiled(function: Any, edit: ast.NodeTransformer, names: Mapping[str, Any]) -> FunctionType:
    """``function`` after ``edit`` has been over its body, in which ``names`` are bound to what is given.

    Raises `AutoperfError` if it has no source, or is a closure.
    """
    if not isinstance(function, FunctionType) or function.__closure__:
        raise AutoperfError("no plain function")
    try:
        lines, number = source_lines(function)
    except (OSError, TypeError):
        raise AutoperfError("its source is not there") from None
    # Empty lines before it instead of `ast.increment_lineno`, which visits every node.
    block = ["if 1:\n", *lines] if lines[0][:1].isspace() else ["\n", *lines]
    tree = ast.parse("\n" * (number - 2) + "".join(block if number > 1 else lines))
    defined = _definition(tree)
    edit.generic_visit(defined)
    defined.decorator_list, defined.returns = [], None
    _bare(defined.args)
    tree.body = [_outer(defined, list(names))]
    made = _execute(ast.fix_missing_locations(tree), function, names)
    made.__defaults__, made.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    made.__annotations__ = dict(function.__annotations__)
    made.__qualname__ = function.__qualname__
    return made


def _definition(tree: ast.Module) -> ast.FunctionDef | ast.AsyncFunctionDef:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return node
    raise AutoperfError("its source is not a function's")


def _bare(arguments: ast.arguments) -> None:
    # Defaults and annotations have been evaluated already: they are taken over from the function.
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [default and ast.Constant(None) for default in arguments.kw_defaults]
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in (*every, arguments.vararg, arguments.kwarg):
        if argument is not None:
            argument.annotation = None


def _outer(defined: ast.FunctionDef | ast.AsyncFunctionDef, names: list[str]) -> ast.FunctionDef:
    # What is bound outside becomes the inner function's closure; its globals stay the module's own.
    outer = ast.parse(f"def {_OUTER}({', '.join(names)}):\n    return None").body[0]
    assert isinstance(outer, ast.FunctionDef)
    result = ast.Return(ast.Name(defined.name, ast.Load()))
    outer.body = [defined, result]
    return outer


def _execute(tree: ast.Module, function: FunctionType, names: Mapping[str, Any]) -> FunctionType:
    code = function.__code__
    compiled = compile(tree, code.co_filename, "exec", code.co_flags & _FUTURES, dont_inherit=True)
    scope: dict[str, Any] = {}
    exec(compiled, function.__globals__, scope)
    made: FunctionType = scope[_OUTER](**names)
    made.__code__ = _named(made.__code__, code)
    return made


def _named(made: CodeType, original: CodeType) -> CodeType:
    qualname = getattr(original, "co_qualname", None)
    changes: dict[str, Any] = {} if qualname is None else {"co_qualname": qualname}
    return made.replace(**changes)
