"""Code of others, recognised by its source and its signature."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from types import CodeType, FunctionType
from typing import Any, Final

from autoperf.errors import AutoperfError

# What has no effect by itself.
_PURE: Final = frozenset(
    {"__module__", "__name__", "all", "any", "bool", "dict", "enumerate", "isinstance", "len", "list"}
    | {"range", "set", "sort", "sorted", "str", "tuple", "type", "zip"}
)


def digest(defined: Any) -> str:
    """`text_digest` of the source of a module or function; empty where there is none to read."""
    try:
        if isinstance(defined, FunctionType):
            return text_digest("".join(source_lines(defined)[0]))
        return text_digest(inspect.getsource(defined))
    except (OSError, TypeError):
        return ""


def text_digest(source: str) -> str:
    """SHA-256 of source code, whatever its line ends and trailing white space."""
    return sha256("\n".join(line.rstrip() for line in source.splitlines()).strip().encode()).hexdigest()


def group_digest(digests: Mapping[str, str]) -> str:
    """SHA-256 over the names and digests of several functions of one module, in the order given."""
    return sha256("\n".join(f"{name}:{one}" for name, one in digests.items()).encode()).hexdigest()


def source_lines(function: FunctionType) -> tuple[list[str], int]:
    """The lines of a function and the number of the first, as `inspect.getsourcelines` gives them.

    That reads the source as tokens to find its end, 20 ms for a function of 1,000 lines; the compiled code
    knows it, unless something follows that was not compiled. Raises ``OSError`` or ``TypeError`` where there
    is no source.
    """
    found: Any = inspect.unwrap(function)
    code: Any = getattr(found, "__code__", None)
    # Python 3.10 knows only where expressions begin.
    if hasattr(code, "co_positions") and code.co_name != "<lambda>":
        lines, start = inspect.findsource(found)
        end = _last_line(code)
        if _ends(lines, start, end):
            return lines[start:end], start + 1
    return inspect.getsourcelines(found)


def _last_line(code: Any) -> int:
    last: int = code.co_firstlineno
    for _, end, _, _ in code.co_positions():
        if end is not None and end > last:
            last = end
    return max([last, *(_last_line(const) for const in code.co_consts if isinstance(const, CodeType))])


def _ends(lines: list[str], start: int, end: int) -> bool:
    """Whether the block from ``lines[start]`` on ends before ``lines[end]``: what follows is no part."""
    if not start < end <= len(lines):
        return False
    for line in lines[end:]:
        text = line.lstrip()
        if text:
            return len(line) - len(text) <= len(lines[start]) - len(lines[start].lstrip())
    return True


def expect_parameters(function: Any, *expected: str) -> None:
    """Raise `AutoperfError` unless ``function`` takes the expected parameters, in this order.

    Further keyword parameters are fine only where the function collects them (``**kwargs``).
    """
    parameters = inspect.signature(function).parameters.values()
    found = tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
    if found != expected:
        raise AutoperfError(f"another signature: ({', '.join(found)}) instead of ({', '.join(expected)})")


def expect_method(function: Any) -> None:
    """Raise `AutoperfError` unless ``function`` binds as one that takes an object first, called ``self``."""
    parameters = inspect.signature(function).parameters
    if not hasattr(type(function), "__get__") or next(iter(parameters), "") != "self":
        raise AutoperfError("no method of an object")


def asks_only(function: Any, names: Collection[str]) -> bool:
    """Whether ``function`` (or code), and what is defined in it, uses no attribute, global, import but these.

    Code that was changed to do anything more asks for something more, unless that is one of `_PURE`. Names
    of a class's own, such as ``__lock``, are compared as they are written. Decorators are passed over.
    """
    code = function if isinstance(function, CodeType) else getattr(inspect.unwrap(function), "__code__", None)
    return isinstance(code, CodeType) and all(
        name in _PURE or _written(name) in names for name in _used(code)
    )


def expect_names(function: Any, names: Collection[str]) -> None:
    """Raise `AutoperfError` unless ``function`` `asks_only` for these."""
    if not asks_only(function, names):
        raise AutoperfError("it asks for more than is known")


def _used(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _used(constant)


def _written(name: str) -> str:
    _, mark, private = name.partition("__")
    return f"__{private}" if mark and name.startswith("_") and not name.startswith("__") else name
