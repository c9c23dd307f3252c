"""Source code of others, recognised by its digest."""

from __future__ import annotations

import inspect
from hashlib import sha256
from typing import Any


def digest(defined: Any) -> str:
    """`text_digest` of the source of a module or function; empty where there is none to read."""
    try:
        return text_digest(inspect.getsource(defined))
    except (OSError, TypeError):
        return ""


def text_digest(source: str) -> str:
    """SHA-256 of source code, whatever its line ends and trailing white space."""
    return sha256("\n".join(line.rstrip() for line in source.splitlines()).strip().encode()).hexdigest()
