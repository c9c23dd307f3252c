"""Names of source files as they may be shown: no path that tells of the machine or of who uses it."""

from __future__ import annotations

import functools
import inspect
import os
from typing import Any


def source_of(tool: Any) -> str | None:
    """The file that the ``execute`` of ``tool`` was compiled from; None where that cannot be told."""
    execute = getattr(type(tool), "execute", None)
    code = getattr(inspect.unwrap(execute), "__code__", None) if callable(execute) else None
    return getattr(code, "co_filename", None)


@functools.lru_cache(maxsize=1000)
def shown(path: str, root: str) -> str:
    """``path`` relative to ``root``; else with ``~`` for the home directory; else the file's name alone."""
    home = os.path.expanduser("~")
    for folder, prefix in ((root, ""), (os.path.realpath(root), ""), (home, "~/")):
        inside = folder.rstrip(os.sep) + os.sep
        if len(inside) > 1 and path.startswith(inside):
            return prefix + path[len(inside) :].replace(os.sep, "/")
    return os.path.basename(path)
