"""Tokens of texts that were counted before, and of long texts piece by piece."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from autoperf.errors import AutoperfError, guarded
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.lru import Recent
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "tokens"
# By source, and the tags of the original that carry it.
KNOWN: Final = {
    "b5dfd6d8cbfe43ff4a7b6253e2c9cb94c90c26013a57e69bcd67b106e8cbd726",  # v0.8 - v0.8.1
    "85953a9cbdf77d418c55e0eae8ecd99631bf59703898b5b52b350645d4c644e7",  # v0.8.2 - v0.9.6
    "76c52c70787510369a442720cdebb8a9672a699de1512af7176ada8eb76fc4a7",  # v0.9.7 - v2.6
}
# How the encoding cuts a text before it looks for tokens, by the versions of tiktoken that are known. None of
# the alternatives goes on beyond a line's end unless with white space up to another one: see `blocks`.
CUTTING: Final = {
    # 0.7 - 0.8
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
    r"|\s*[\r\n]|\s+(?!\S)|\s",
}
_ENCODING: Final = "cl100k_base"
_CHARACTERS: Final = 4_000_000
_ENTRY: Final = 120
# Longer texts are remembered by digest.
_SPELLED_OUT: Final = 20_000
# Below this the host counts a text whole about as fast.
_LONG: Final = 600
# A line is cut where a word has ended, after as many characters as are worth an entry of their own. The
# Python spelling of messages, which the host counts before it sends them, is one line altogether.
_WORDS: Final = re.compile(r".{240}.*?[A-Za-z](?=[ \\])|.+", re.DOTALL)
_LONG_LINE: Final = 480
# White space, punctuation and letters around line ends, for a look at whether counts add up.
_SAMPLES: Final = (
    "first line\nsecond {line},\n\n  indented: 'it\\'s'\n\t\n    - item 12345\nend" * 12,
    '  \n \n{\n    "key": [\n        1,\n        2\n    ],\n    "text": "a  b"\n}\n\n\n' * 12,
    "[HumanMessage(content='it\\'s a line\\n\\n  \\\\d+ x1 2y é日本 don't', name=None), " * 24,
    "...\n...\n  ...\n(x)\n\u2028y\n\xa0z\n\u3000q\n\x1c\n\x85w\n" * 20,
)
Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """For ``count_tokens(text, encoding_name)``: ``count``."""
    if "count" in targets:
        yield targets["count"], unless_cached(probe.root, counting(probe))


def counting(probe: Probe) -> Callable[[Any, Switch], Callable[..., int]]:
    """Replaces ``count_tokens``; only plain strings in the default encoding are remembered."""
    counter = probe.memo(SEAM)

    def build(original: Any, switch: Switch) -> Callable[..., int]:
        expect_parameters(original, "text", "encoding_name")
        host: Any = inspect.unwrap(original)
        if digest(host) not in KNOWN or host.__defaults__ != (_ENCODING,):
            raise AutoperfError("another way of counting tokens than the ones that are known")
        kept: Recent[Any, int] = Recent(_CHARACTERS, _weight)
        lines = _Lines(original, switch)
        probe.clears(SEAM, kept.clear)
        probe.clears(SEAM, lines.kept.clear)

        def count_tokens(call: Any, text: Any, encoding_name: Any = _ENCODING) -> int:
            if type(text) is not str or not text or encoding_name != _ENCODING:
                return call(text, encoding_name)  # type: ignore[no-any-return]
            key, found = None, None
            with guarded(SEAM):
                key = _key(text)
                found = kept.get(key)
            if found is not None:
                counter.hits += 1
                return found
            if len(text) >= _LONG:
                with guarded(SEAM):
                    found = lines.count(text)
            # A text is a hit when most of it was counted before.
            counter.count(hit=found is not None and lines.fresh * 2 < len(text))
            counted: int = call(text, encoding_name) if found is None else found
            if key is not None and type(counted) is int:
                with guarded(SEAM):
                    kept.put(key, counted)
            return counted

        return count_tokens

    return build


def _key(text: str) -> Any:
    if len(text) <= _SPELLED_OUT:
        return text
    return len(text), blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _weight(key: Any, _tokens: int) -> int:
    return _ENTRY + (len(key) if type(key) is str else 0)


def pieces(text: str) -> list[str]:
    """``text`` cut before every line that is not blank, and long lines between words.

    The tokens of the parts are those of the whole. Whatever the encodings cut off that has a letter in it
    ends with a letter, so one always ends where a letter of ASCII stands before a space or a backslash; what
    follows is cut as it would be by itself, because nothing looks back.
    """
    parts: list[str] = []
    for block in blocks(text) or (text,):
        if len(block) < _LONG_LINE:
            parts.append(block)
        else:
            parts += _WORDS.findall(block)
    return parts


def blocks(text: str) -> list[str] | None:
    """``text`` cut before every line that is not blank; None for a text with a carriage return.

    The tokens of the parts are those of the whole: no piece that the encodings cut contains a line end and
    anything but white space behind it, and white space that does contain a line end is one piece up to the
    last of them. What Python calls blank is all that the encodings do, and more.
    """
    if "\r" in text:
        return None
    parts: list[str] = []
    begun = ""
    for line in text.split("\n"):
        if line and not line.isspace():
            if begun:
                parts.append(begun)
            begun = line + "\n"
        else:
            begun += line + "\n"
    parts.append(begun[:-1])
    # Before the first line with something in it there is nothing to be apart from.
    return parts


class _Lines:
    """Counts a long text by its pieces, most of which were in an earlier text already."""

    def __init__(self, original: Any, switch: Switch) -> None:
        self._original = original
        self._switch = switch
        self._globals: dict[str, Any] = inspect.unwrap(original).__globals__
        self.kept: Recent[str, int] = Recent(_CHARACTERS, _weight)
        self._fits: bool | None = None
        # Characters of the text counted last, by whichever thread, that were in none before.
        self.fresh = 0

    def count(self, text: str) -> int | None:
        """The tokens of ``text``; None where only the host can tell."""
        if self._fits is None:
            self._fits = False
            with guarded(SEAM):
                self._fits = self._add_up()
            if not self._fits:
                self._switch.stand_aside(
                    "the encoding cuts in another way than is known: long texts are counted whole"
                )
        return self._sum(text) if self._fits else None

    def _sum(self, text: str) -> int | None:
        total = fresh = 0
        get, put, count = self.kept.get, self.kept.put, self._original
        for part in pieces(text):
            tokens = get(part)
            if tokens is None:
                try:
                    tokens = count(part)
                except Exception:
                    return None  # the host says it of the whole text
                put(part, tokens)
                fresh += len(part)
            total += tokens
        self.fresh = fresh
        return total

    def _add_up(self) -> bool:
        encoding = self._globals["tiktoken"].get_encoding(_ENCODING)
        if encoding._pat_str not in CUTTING:
            return False
        return all(self._sum(sample) == self._original(sample) for sample in _SAMPLES)
