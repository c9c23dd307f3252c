"""One seam in a module made on the spot, with a row of ours on it."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from autoperf.patching.patch import Patch, PatchSet


def module_of(name: str, source: str, **names: Any) -> ModuleType:
    """A module of ``source`` whose functions `inspect` can read, with further ``names`` in it."""
    module = ModuleType(name)
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module.__dict__.update(names)
    exec(compile(source, file, "exec"), module.__dict__)
    return module


@contextmanager
def patched(module: ModuleType, function: str, build: Callable[..., Any]) -> Iterator[PatchSet]:
    """``module`` imported, and ``function`` of it patched meanwhile."""
    sys.modules[module.__name__] = module
    patches = PatchSet([Patch(f"{module.__name__}:{function}", "settings", build)])
    patches.start()
    try:
        yield patches
    finally:
        patches.stop()
        sys.modules.pop(module.__name__, None)
