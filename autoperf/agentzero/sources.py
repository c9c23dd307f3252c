"""Source code of the host, recognised by its digest."""

from __future__ import annotations

import inspect
from hashlib import sha256
from typing import Any


def digest(defined: Any) -> str:
    """SHA-256 of a module's or function's source, whatever its line ends and trailing white space.

    Empty where there is no source to read.
    """
    try:
        source = inspect.getsource(defined)
    except (OSError, TypeError):
        return ""
    return sha256("\n".join(line.rstrip() for line in source.splitlines()).strip().encode()).hexdigest()
