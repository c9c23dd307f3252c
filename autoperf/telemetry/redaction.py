"""Names of paths, files and tools as they leave the process: none tells of the machine or of its user."""

from __future__ import annotations

import functools
import inspect
import os
import re
from typing import Any, Final

UNKNOWN: Final = "(unknown)"
_NAME_LENGTH: Final = 100


def homeless(text: str) -> str:
    """``text`` with the home directory, wherever a path in it begins so, replaced by ``~``.

    A home directory that is the root of the file system, as some containers have it, names nobody.
    """
    home = os.path.expanduser("~").rstrip("/\\")
    if not os.path.isabs(home) or home not in text:
        return text
    return re.sub(rf"(?<![\w./\\-]){re.escape(home)}(?![\w.-])", "~", text)


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


def shown_name(tool: Any, name: Any) -> str:
    """The name of ``tool`` as it goes into records and attributes; one that the model made up does not.

    It is a part of what the model said; the host answers it with a tool for unknown ones.
    """
    return UNKNOWN if tool is None or type(tool).__name__ == "Unknown" else short(name)


def short(name: Any) -> str:
    """A name as it goes into records and attributes: text, at most 100 characters."""
    return str(name)[:_NAME_LENGTH]
