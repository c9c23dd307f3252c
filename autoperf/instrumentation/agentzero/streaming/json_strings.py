"""Texts between quotes, as the host's forgiving parser reads them, up to where nothing can change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

RUN: Final = {quote: re.compile(rf"[^\\{quote}]*") for quote in "\"'`"}
_SPACE: Final = re.compile(r"\s*")
# Within a text that may be the next key: as far as nothing is decided.
_KEY_RUN: Final = {quote: re.compile(rf"[^\\{quote}\n\r{{}}\[\],]*") for quote in "\"'"}
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", **{c: c for c in "\"'\\/"}}


class Variant(NamedTuple):
    """What tells the versions of the grammar apart."""

    completes: bool
    """Knows whether its root was closed, and takes doubled braces for a wrapper at the root only."""
    revokes: bool
    """A quote ends a text only where what comes after it fits."""


class TextReader:
    """The part of a reading that is inside quotes; what it stands in is known to `Reader`.

    ``pos`` is the next character, ``far`` how many were looked at to decide about quotes, ``head`` the open
    text so far. ``limit`` is the last position from which on something may still be read; when ``final``,
    the end of ``text`` decides what is open, as it does in the host.
    """

    __slots__ = (
        "far",
        "final",
        "frames",
        "head",
        "is_key",
        "limit",
        "pos",
        "quote",
        "size",
        "stack",
        "step",
        "text",
        "variant",
    )

    def __init__(self, variant: Variant, start: int) -> None:
        self.variant = variant
        self.text = ""
        self.size = 0
        self.limit = 0
        self.final = False
        self.pos = start
        self.far = 0
        self.head = ""
        self.quote = ""
        self.is_key = False
        self.frames: list[list[Any]] = []
        self.stack: list[Any] = []
        self.step: Callable[[Any], bool] | None = None

    def _deliver(self, value: Any, i: int) -> bool:
        raise NotImplementedError

    def _after_key(self) -> bool:
        raise NotImplementedError

    def _begin_text(self, i: int, quote: str, *, is_key: bool) -> bool:
        self.head, self.quote, self.is_key = "", quote, is_key
        self.pos, self.step = i, TextReader._text
        return True

    def _text(self) -> bool:
        text, size, limit, quote, i = self.text, self.size, self.limit, self.quote, self.pos
        run = RUN[quote]
        parts = [self.head]
        while True:
            j = run.match(text, i).end()  # type: ignore[union-attr]
            if j > limit:
                return self._pause(parts, i, max(i, limit))
            parts.append(text[i:j])
            if j >= size:
                return self._end_text(parts, max(i, size))
            if text[j] == quote:
                ends, far = self._closes(j) if self.variant.revokes else (True, 0)
                if far > size and not self.final:
                    return self._pause(parts, j, j)
                self.far = max(self.far, far)
                if ends:
                    return self._end_text(parts, j + 1)
                parts.append(quote)
                i = j + 1
                continue
            escaped = text[j + 1 : j + 2]
            i = j + 2
            if escaped in _ESCAPES:
                parts.append(_ESCAPES[escaped])
            elif escaped == "u":
                digits = _alphanumerics(text[i : i + 4])
                i += len(digits)
                if len(digits) < 4:
                    return self._end_text([*parts, "\\u", digits], i)
                parts.append(_character(digits))

    def _pause(self, parts: list[str], i: int, end: int) -> bool:
        self.head = "".join([*parts, self.text[i:end]])
        self.pos = end
        return False

    def _end_text(self, parts: list[str], end: int) -> bool:
        value = "".join(parts)
        if not self.is_key:
            return self._deliver(value, end)
        self.frames[-1][1] = value
        self.pos = end
        return self._after_key()

    def _closes(self, i: int) -> tuple[bool, int]:
        # Whether the quote at ``i`` ends its text, and how many characters that took; more than there are
        # where the end of the text decided it.
        text, size = self.text, self.size
        j = padding(text, i + 1)
        if j >= size:
            return True, size + 1
        c = text[j]
        if self.is_key:
            return c in ":,}]", j + 2
        if c in ",}]":
            return True, j + 2
        if not self.stack or not isinstance(self.stack[-1], dict) or c not in "\"'":
            return False, j + 2
        j += 1
        run = _KEY_RUN[c]
        while True:
            j = run.match(text, j).end()  # type: ignore[union-attr]
            if j >= size:
                return False, size + 1
            if text[j] == "\\":
                j += 2
                continue
            if text[j] != c:
                return False, j + 2
            j = padding(text, j + 1)
            return text.startswith(":", j), j + 2


def first(text: str, characters: str, i: int) -> int:
    """Where the first of ``characters`` stands from ``i`` on; where there is none, the length of the text."""
    end = len(text)
    for character in characters:
        # One search after the other, each in what is left, is ten times as fast as a regular expression.
        found = text.find(character, i, end)
        if found >= 0:
            end = found
    return end


def padding(text: str, i: int) -> int:
    """Where the white space and comments that begin at ``i`` end; an open comment takes all there is."""
    # The host can stand one past the end, and stays there; a regular expression would come back.
    while i < len(text):
        i = _SPACE.match(text, i).end()  # type: ignore[union-attr]
        if text.startswith("//", i):
            i = text.find("\n", i)
        elif text.startswith("/*", i):
            i = text.find("*/", i + 2) + 2
            i = -1 if i == 1 else i
        else:
            return i
        if i < 0:
            return len(text)
    return i


def _alphanumerics(text: str) -> str:
    if text.isalnum():
        return text
    return text[: next((i for i, c in enumerate(text) if not c.isalnum()), 0)]


def _character(digits: str) -> str:
    try:
        return chr(int(digits, 16))
    except ValueError:
        return "\\u" + digits
