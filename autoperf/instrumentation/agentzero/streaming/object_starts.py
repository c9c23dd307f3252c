"""Where objects begin in a growing reply, looked for only in what is new of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import MISS, Shortcut
from autoperf.memo.prefix import Entry, GrowingTexts
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "json_root_object_starts"
# By the function's source: v2.2 - v2.6.
KNOWN: Final = {"1b120829a1b5be339cd9897c51c6b0cd4a8619064be5f01777b382530b92f9d2"}
SMALLEST: Final = 128

_SYNTAX: Final = re.compile(r"[\"'`{}\[\]]")
_RUN: Final = {quote: re.compile(rf"[^\\{quote}]*") for quote in "\"'`"}

Starts = Callable[[str], list[int]]


class Scan:
    """Brackets and quotes of a text, counted up to ``pos``: nothing here looks ahead."""

    __slots__ = ("depth", "pos", "quote", "starts")

    def __init__(self) -> None:
        self.pos = 0
        self.depth = 0
        self.quote = ""
        self.starts: list[int] = []

    def read(self, text: str) -> list[int]:
        """Go on to the end of ``text``; the positions of all outermost opening braces, a list of its own."""
        size = len(text)
        while self.pos < size:
            if self.quote:
                self._quoted(text, size)
            elif self.depth:
                self._nested(text, size)
            else:
                found = text.find("{", self.pos)
                self.pos = size if found < 0 else found + 1
                if found >= 0:
                    self.starts.append(found)
                    self.depth = 1
        return list(self.starts)

    def _quoted(self, text: str, size: int) -> None:
        i = _RUN[self.quote].match(text, self.pos).end()  # type: ignore[union-attr]
        if i < size and text[i] == self.quote:
            self.quote = ""
        # A backslash at the very end leaves ``pos`` behind the end: the next character is the escaped one.
        self.pos = i + (2 if text.startswith("\\", i) else 1 if i < size else 0)

    def _nested(self, text: str, size: int) -> None:
        found = _SYNTAX.search(text, self.pos)
        if found is None:
            self.pos = size
            return
        self.pos, c = found.end(), found[0]
        if c in _RUN:
            self.quote = c
        else:
            self.depth += 1 if c in "{[" else -1


def scanning(texts: GrowingTexts, smallest: int = SMALLEST) -> Callable[[Starts, Switch], Shortcut]:
    """For ``_json_root_object_starts`` (v2.2 on): the same list, in time that the new characters take."""

    def build(original: Starts, _switch: Switch) -> Shortcut:
        expect_parameters(original, "content")
        if digest(original) not in KNOWN:
            raise AutoperfError("another scan than the one that is known")

        def _json_root_object_starts(content: Any) -> Any:
            grows = type(content) is str and len(content) >= smallest
            return _starts(texts, content) if grows else MISS

        return Shortcut(_json_root_object_starts)

    return build


def _starts(texts: GrowingTexts, content: str) -> list[int]:
    entry = texts.claim(content) or Entry("", Scan())
    scan: Scan = entry.work
    starts = scan.read(content)
    entry.prefix = content
    texts.keep(entry)
    return starts
