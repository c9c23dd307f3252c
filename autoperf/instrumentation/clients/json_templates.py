"""JSON texts that differ from each other only in some of their strings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from json import decoder
from typing import Any, Final

# The strings that a provider's events differ in: pieces of the answer, and padding against eavesdroppers.
_STRINGS: Final = re.compile(r'"(?:content|reasoning_content|reasoning|obfuscation)"\s*:\s*"')
_MOST: Final = 4
# What json.loads itself reads a string with.
_scan: Final = vars(decoder)["scanstring"]


class Pattern:
    """Everything of a JSON text but the strings in ``spans``, each without its opening quote.

    A text that a pattern fits is read by JSON as the one it was made from, apart from these strings: what
    stands before, between and after them is the same, character by character.
    """

    __slots__ = ("_first", "_last", "_rest", "_start", "size")

    def __init__(self, text: str, spans: Sequence[tuple[int, int]]) -> None:
        ends = [end for _, end in spans]
        starts = [start for start, _ in spans]
        self._first = text[: starts[0]]
        self._start = starts[0]
        self._rest = [text[end:start] for end, start in zip(ends, starts[1:], strict=False)]
        self._last = text[ends[-1] :]
        self.size = len(spans)

    def strings(self, text: str) -> list[str] | None:
        """The strings in which ``text`` differs; None if the pattern does not fit, or one is empty."""
        if not text.startswith(self._first):
            return None
        try:
            string, at = _scan(text, self._start, True)
            found = [string]
            for between in self._rest:
                if not text.startswith(between, at):
                    return None
                string, at = _scan(text, at + len(between), True)
                found.append(string)
        except ValueError:
            return None
        return found if text[at:] == self._last and all(found) else None

    def text(self, strings: Sequence[str]) -> str:
        """The text that the pattern fits with these ``strings``."""
        encoded = [json.dumps(string)[1:] for string in strings]
        between = [*self._rest, self._last]
        return self._first + "".join(e + b for e, b in zip(encoded, between, strict=True))


def pattern(text: str) -> Pattern | None:
    """The pattern of an event's ``text``; None where it has none of the strings, or too many."""
    spans: list[tuple[int, int]] = []
    at = 0
    while (found := _STRINGS.search(text, at)) is not None:
        try:
            string, at = _scan(text, found.end(), True)
        except ValueError:
            return None
        if string:
            spans.append((found.end(), at))
    return Pattern(text, spans) if 0 < len(spans) <= _MOST else None


def read(text: str) -> Any:
    """What JSON makes of ``text``."""
    return json.loads(text)
