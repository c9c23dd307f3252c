"""Files written whole or not at all, for the user alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def replaced(path: Path, parts: Iterable[str]) -> None:
    """Put ``parts`` in UTF-8 in the place of the file ``path``; what was there stands until all is written.

    Raises ``OSError``.
    """
    handle, beside = tempfile.mkstemp(prefix=".autoperf-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(parts)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
