"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def replaced(path: Path, parts: Iterable[str], mode: int = 0o600) -> None:
    """Put ``parts`` in UTF-8 in the place of the file ``path``; what was there stands until all is written.
    ``mode`` are its permissions, by default for the user alone.

    Raises ``OSError``.
    """
    handle, beside = tempfile.mkstemp(prefix=".autoperf-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(parts)
        os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
