"""Arguments that several verbs read alike: where the store lies, a time span, a moment, a file to write."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.process.atomic_write import replaced
from autoperf.process.config import Config

_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def home_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """``--home DIR``."""
    parser.add_argument("--home", metavar="DIR", type=Path, help="where the local store lies", **options)


def directory(home: Path | None) -> Path:
    """The state directory: ``home``, or what the environment says."""
    given: dict[str, Any] = {"home": home.absolute()} if home else {}
    return Config.from_environ(**given).state_dir


def seconds(text: str) -> float:
    """A time span in seconds: ``1.5``, ``300ms``, ``10m``, ``2h``, ``3d``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    unit = _UNITS.get(found[2] or "s") if found else None
    if found is None or unit is None:
        raise argparse.ArgumentTypeError(f"{text!a} is no time span: write 1.5, 300ms, 10m, 2h or 3d")
    return float(found[1]) * unit


def moment(text: str) -> float:
    """A moment in Unix seconds: a time span ago, or an ISO date and time, local unless it names a zone."""
    with contextlib.suppress(argparse.ArgumentTypeError):
        return time.time() - seconds(text)
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!a} is no moment: write 2h for two hours ago, or 2025-01-31T08:00"
        ) from None


def whole(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!a} is no whole number above 0")
    return int(text)


def written(file: str, parts: Iterable[str]) -> None:
    """Write ``parts`` in UTF-8 to ``file``, or to stdout for ``-``: whole or not at all, for the user alone.

    Raises ``OSError`` with the name of the file.
    """
    if not file:
        raise AutoperfError("give the file a name, or - for stdout")
    if file == "-":
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), "stdout")
        # A page says that it is UTF-8: whatever the terminal's encoding.
        sys.stdout.flush()
        for part in parts:
            sys.stdout.buffer.write(part.encode())
        return
    path = Path(file)
    if path.exists() and not path.is_file():
        # A device or a pipe takes no rename; a folder says so itself.
        with _named(file), path.open("w", encoding="utf-8") as stream:
            stream.writelines(parts)
        return
    with _named(file):
        replaced(path, parts)


@contextlib.contextmanager
def _named(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, file) from None
