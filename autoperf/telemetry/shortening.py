"""Paths as they may be shown and sent: the home directory, which names the user, becomes ``~``."""

from __future__ import annotations

import os
import re


def homeless(text: str) -> str:
    """``text`` with the home directory, wherever a path in it begins so, replaced by ``~``.

    A home directory that is the root of the file system, as some containers have it, names nobody.
    """
    home = os.path.expanduser("~").rstrip("/\\")
    if not os.path.isabs(home) or home not in text:
        return text
    return re.sub(rf"(?<![\w./\\-]){re.escape(home)}(?![\w.-])", "~", text)
