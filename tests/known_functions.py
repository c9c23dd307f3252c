"""The functions of a host that autoperf knows by their source, found by nothing but the digests it holds."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import autoperf.instrumentation.agentzero as agentzero
from autoperf.instrumentation.agentzero.layout import Source, _lines
from autoperf.patching.sources import group_digest

COMMENT = "# one line more, as a next release may have"
_APART = ("usr", "tests", "docs", "webui", "node_modules")


class Known(NamedTuple):
    """One function, or a class, ``name`` of ``module``; ``alone`` when it has a digest of its own."""

    module: str
    name: str
    alone: bool

    @property
    def text(self) -> str:
        return f"{self.module}:{self.name}"


def known_functions(root: Path) -> list[Known]:
    """All in the host in ``root``: those with a digest of their own, of a group, or of a known module."""
    digests, groups = _constants()
    source = Source(root)
    found: dict[tuple[str, str], bool] = {}
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if any(part in _APART or part.startswith(".") or "." in part[:-3] for part in inside.parts):
            continue
        module = ".".join(inside.with_suffix("").parts)
        try:
            defined = [name for name, _ in _lines(ast.parse(path.read_bytes()).body, "")]
        except (SyntaxError, ValueError):
            continue
        whole = source.digest(f"{module}:") in digests
        alone = {name for name in defined if source.digest(f"{module}:{name}") in digests}
        grouped = set(defined) if whole else set()
        for names in groups:
            there = {name: one for name in names if (one := source.digest(f"{module}:{name}"))}
            if there and group_digest(there) in digests:
                grouped |= set(there)
        found |= {(module, name): name in alone for name in defined if name in alone | grouped}
    return [Known(module, name, alone) for (module, name), alone in found.items()]


def change(root: Path, known: Known, line: str = COMMENT) -> bool:
    """Put ``line`` into it; False where it stands on one line."""
    path = root.joinpath(*known.module.split(".")).with_suffix(".py")
    text = path.read_text("utf-8")
    body: Any = ast.parse(text).body
    for part in known.name.split("."):
        node = next(node for node in body if getattr(node, "name", "") == part)
        body = node.body
    first = body[0]
    if first.lineno == node.lineno:
        return False
    lines = text.splitlines()
    lines.insert(first.lineno - 1, " " * first.col_offset + line)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return True


def _constants() -> tuple[set[str], set[tuple[str, ...]]]:
    """The digests in the tables of `autoperf.instrumentation.agentzero`, and the groups of names."""
    modules = (
        importlib.import_module(one.name)
        for one in pkgutil.walk_packages(agentzero.__path__, f"{agentzero.__name__}.")
    )
    values = [value for module in modules for value in vars(module).values()]
    digests = {text for value in values for text in _texts(value) if re.fullmatch("[0-9a-f]{64}", text)}
    groups = {v for v in values if type(v) is tuple and v and all(type(n) is str for n in v)}
    return digests, groups


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _texts(pair)
    elif isinstance(value, (set, frozenset, list, tuple)):
        for one in value:
            yield from _texts(one)
