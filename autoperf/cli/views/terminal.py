"""Text on a terminal: measured in columns, cut to fit, and what the terminal can show."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any, Final, TextIO

from autoperf.errors.wording import printable

_COLOUR: Final = re.compile(r"(\x1b\[[0-9]{1,2}m)")


def show(lines: Iterable[str], *, coloured: bool = False) -> None:
    """Print ``lines`` on stdout, each `printable`: what strangers have written goes no other way to it.

    ``coloured`` lets escapes for colour pass, for lines whose foreign text is `printable` already.
    """
    print("\n".join(_shown(line, coloured) for line in lines), flush=True)


def _shown(line: str, coloured: bool) -> str:
    parts = _COLOUR.split(line) if coloured else [line]
    return "".join(part if number % 2 else printable(part) for number, part in enumerate(parts))


def show_json(value: Any) -> None:
    """Print ``value`` as JSON in ASCII, in which nothing steers a terminal."""
    # All other control characters `json` escapes itself.
    print(json.dumps(value, indent=2, default=str).replace("\x7f", "\\u007f"))


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
    return _taken(text, width - 2) + ".."[: max(width, 0)]


def squeezed(text: str, width: int) -> str:
    """Beginning and end of `printable` text, ``width`` columns at most, ``..`` for what is missing."""
    if columns(text) <= width:
        return text
    end = _taken(reversed(text), (width - 2) // 2)[::-1]
    return _taken(text, width - 2 - columns(end)) + ".."[: max(width, 0)] + end


def _taken(chars: Iterable[str], width: int) -> str:
    taken, used = [], 0
    for char in chars:
        used += _columns(char)
        if used > width:
            break
        taken.append(char)
    return "".join(taken)


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
