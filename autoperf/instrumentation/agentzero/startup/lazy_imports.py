"""Heavy packages that the host's own modules import at their top are imported when first used."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.fence import fenced
from autoperf.errors.standins import nothing, standing_in
from autoperf.errors.switch import ALWAYS
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.loading.definitions import parsed
from autoperf.patching.finder import ask_the_others
from autoperf.patching.lazy_import import Deferrable, Statement, packages, prepare, split
from autoperf.patching.patch import Switch

# Each takes tens to hundreds of MB or a second, and is needed for one kind of work only.
HEAVY: Final = frozenset(
    {
        "browser_use", "faiss", "kokoro", "langchain_unstructured", "newspaper", "playwright",
        "sentence_transformers", "soundfile", "torch", "transformers", "unstructured", "whisper",
    }
)  # fmt: skip
_STATEMENT: Final = re.compile(
    rb"^(?:import|from)[ \t]+(?:" + "|".join(sorted(HEAVY)).encode() + rb")\b", re.M
)

Build = Callable[[Any, Switch], Any]


def rows(_targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """No seam: the modules are changed as they are imported, from now on until everything is undone."""
    finder = HeavyFinder(Path(probe.root))
    sys.meta_path.insert(0, finder)
    probe.at_stop.append(finder.leave)
    yield from ()


class HeavyFinder:
    """Lets the other finders find the host's modules, and takes imports out of those that have heavy ones."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.join(root, "")
        self._names = {path.name.removesuffix(".py") for path in root.iterdir()} if root.is_dir() else set()
        self._searching = threading.local()
        self.find_spec = standing_in("imports", self._find, nothing)

    def leave(self) -> None:
        """Find no more; what waits goes on waiting until it is used."""
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def _find(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the others find; if the module is the host's, with a loader that looks at it."""
        if name.partition(".")[0] not in self._names or getattr(self._searching, "now", False):
            return None
        self._searching.now = True
        try:
            spec = ask_the_others(self, name, path, target)
        finally:
            self._searching.now = False
        if spec is not None and type(spec.loader) is SourceFileLoader:
            with guarded(f"import of {name}"):
                if self._is_host(spec.loader.path):
                    _watch(spec.loader)
        return spec

    def _is_host(self, file: str) -> bool:
        return os.path.abspath(file).startswith(self._root) and "site-packages" not in file


def _watch(loader: Any) -> None:
    if not _STATEMENT.search(loader.get_data(loader.path)):
        return

    def get_code(call: Any, name: str) -> Any:
        # Not around exec_module: our frame would be in the traceback of whatever the module raises.
        vars(loader).pop("get_code", None)
        module = sys.modules.get(name)
        with guarded(f"import of {name}"):
            found = _deferrable(loader) if _is_beginning(module, loader) else None
            # A module that is reloaded has its names already, and binds them again.
            if found is not None and module is not None and not vars(module).keys() & found.waiting.keys():
                prepare(module, found.waiting)
                return found.code
        return call(name)

    loader.get_code = fenced("imports", loader.get_code, ALWAYS, get_code)


def _is_beginning(module: Any, loader: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    return spec is not None and spec.loader is loader


def _deferrable(loader: SourceFileLoader) -> Deferrable | None:
    try:
        return split(parsed(loader.get_data(loader.path)), loader.path, _may_wait)
    except (SyntaxError, ValueError, RecursionError):
        return None  # the host meets it where it always does


def _may_wait(node: Statement) -> bool:
    return all(package in HEAVY and package not in sys.modules for package in packages(node)) and _is_there(
        node
    )


def _is_there(node: Statement) -> bool:
    """Whether all that a statement names is to be found, as far as that can be said without importing it."""
    try:
        if isinstance(node, ast.ImportFrom):
            source = _source(node.module or "")
            return source is not None and all(
                re.search(rf"\b{re.escape(alias.name)}\b", source) for alias in node.names
            )
        return all(_source(alias.name) is not None for alias in node.names)
    except (ImportError, ValueError, AttributeError, OSError):
        return False


def _source(name: str) -> str | None:
    """The source of a module, found without executing it or what it lies in; None when it is not there."""
    top, *inner = name.split(".")
    spec = importlib.util.find_spec(top)
    for depth, _ in enumerate(inner, 1):
        path = spec.submodule_search_locations if spec is not None else None
        spec = PathFinder.find_spec(".".join([top, *inner[:depth]]), path) if path else None
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    if not spec.origin.endswith(".py"):
        return ""
    return Path(spec.origin).read_text(encoding="utf-8", errors="replace")
