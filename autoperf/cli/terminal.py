"""Text on a terminal: measured in columns, cut to fit, and what the terminal can show."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from typing import TextIO


def columns(text: str) -> int:
    """How many columns `printable` text takes: wide characters and emoji two, accents none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The beginning of `printable` text, ``width`` columns at most, ``..`` for what is missing."""
    if columns(text) <= width:
        return text
    taken, used = [], 0
    for char in text:
        used += _columns(char)
        if used > width - 2:
            break
        taken.append(char)
    return "".join(taken) + ".."[: max(width, 0)]


def fitted(text: str, width: int) -> str:
    """`cut` text, padded to exactly ``width`` columns."""
    short = cut(text, width)
    return short + " " * (width - columns(short))


def width_of(stream: TextIO | None = None) -> int:
    """Columns to write in: those of the terminal, or ``COLUMNS``; 80 where there is none."""
    stream = sys.stdout if stream is None else stream
    if not is_terminal(stream) and not os.environ.get("COLUMNS", "").isdigit():
        return 80
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 400))


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person looks at it."""
    stream = sys.stdout if stream is None else stream
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def in_colour(stream: TextIO | None = None) -> bool:
    """Whether to write escapes for colour: on a terminal, unless ``NO_COLOR`` is set or it is a dumb one."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def can_write(text: str, stream: TextIO | None = None) -> bool:
    """Whether the encoding of the output has these characters."""
    stream = sys.stdout if stream is None else stream
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True
