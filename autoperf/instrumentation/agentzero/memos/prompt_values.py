"""What a prompt's text can depend on beside files: the values put into it, and the conditions on them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Hashable, Mapping
from typing import Any, Final

_ATOMS: Final = (str, int, bool, type(None))
_CONTAINERS: Final = (list, tuple, dict)
_CONDITION: Final = re.compile(r"{{\s*if\s+(.*?)}}", re.DOTALL)
_SAFE_NODES: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Compare, ast.cmpop,
    ast.Name, ast.Load, ast.Constant,
)  # fmt: skip


def is_plain(value: Any) -> bool:
    """Whether ``repr(value)`` says all there is to it: builtin types through and through."""
    kind = type(value)
    if kind in _ATOMS or kind is float:
        return True
    if kind is dict:
        return all(is_plain(k) and is_plain(v) for k, v in value.items())
    return kind in _CONTAINERS and all(map(is_plain, value))


def spelled(value: Any) -> str | None:
    """A text that only values of the same content and order have; None for what is not plain."""
    try:
        return repr(value) if is_plain(value) else None
    except RecursionError:
        return None


def key_of(values: Mapping[str, Any]) -> Hashable:
    """A key for named values, in their order; objects of other kinds count by their type alone."""
    parts: list[Hashable] = []
    for name, value in values.items():
        kind = type(value)
        if kind in _ATOMS:
            parts.append((name, kind, value))
        else:
            parts.append((name, kind, spelled(value)))
    return tuple(parts)


def opaque(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are not plain."""
    return {name: value for name, value in values.items() if spelled(value) is None}


def anonymous(value: Any) -> bool:
    """Whether making a text of ``value`` gives nothing but its type and address."""
    kind: Any = type(value)
    return bool(kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__)


def condition_names(template: str) -> frozenset[str] | None:
    """Names that the conditions in a prompt file ask for; None when one does more than compare values."""
    names: set[str] = set()
    for found in _CONDITION.finditer(template):
        try:
            nodes = list(ast.walk(ast.parse(found[1].strip(), mode="eval")))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        if not all(isinstance(node, _SAFE_NODES) for node in nodes):
            return None
        names |= {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(names)


def hides(text: str, values: Mapping[str, Any], conditions: Collection[str]) -> bool:
    """Whether ``text`` and its prompt's ``conditions`` show nothing of values that cannot be compared."""
    return all(
        anonymous(value) and key not in conditions and str(value) not in text
        for key, value in opaque(values).items()
    )


def usual(file: Any, folders: Any, encoding: Any) -> bool:
    """Whether these are what the host gives: a name, a list of folders or none, an encoding."""
    return type(file) is type(encoding) is str and (folders is None or type(folders) is list)
