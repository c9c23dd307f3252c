"""The grammar of the host's forgiving JSON parser, written so that reading goes on where it ended before."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from autoperf.instrumentation.agentzero.streaming.json_strings import RUN, TextReader, Variant, first, padding

# How far past its own end a decision may look, apart from quotes, which keep account themselves: the word
# ``undefined`` is the longest that is looked for.
LOOKAHEAD: Final = 10
# Each open bracket costs the host three frames of Python's stack; what is deeper is left to the host.
MAX_DEPTH: Final = 40

_BARE_KEY: Final = re.compile(r"[^\s:,}\]]*")
_WORDS: Final = (("true", True), ("false", False), ("null", None), ("undefined", None))
_CONTAINERS: Final = (dict, list)


class Unfit(Exception):  # noqa: N818 - no error: the host's own parser takes over
    """The host raises at this text, or nests deeper than we follow: its own parser must have it."""


class Reader(TextReader):
    """One reading of a growing text; ``pos``, ``stack``, ``result``, ``completed`` are the host's end state.

    ``advance`` reads what no later character can change. ``finish`` reads a text to its end, as the host
    does, into a reader with containers of its own, and leaves this one where it was.
    """

    __slots__ = ("completed", "mark", "result", "started")

    def __init__(self, variant: Variant, start: int = 0) -> None:
        super().__init__(variant, start)
        self.result: Any = None
        self.mark = 0
        self.completed = False
        self.started = False
        self.step = Reader._value

    @classmethod
    def at_start(cls, variant: Variant, text: str, lag: int) -> Reader | None:
        """A reader where the host begins in ``text``; None as long as later characters could move that."""
        start = first(text, '{["', 0)
        return None if start > len(text) - lag else cls(variant, start)

    @property
    def seen(self) -> int:
        """How many characters of the text decided everything that was read so far."""
        return max(self.pos + LOOKAHEAD, self.far)

    def advance(self, text: str, lag: int) -> None:
        """Read on in ``text``, staying ``lag`` (at least `LOOKAHEAD`) characters away from its end."""
        self._read(text, len(text) - lag, final=False)

    def finish(self, text: str) -> Reader:
        """The end of ``text``, which begins with what was read so far. Raises `Unfit`."""
        end = self._copy()
        end._read(text, len(text) + 2, final=True)
        return end

    def _read(self, text: str, limit: int, *, final: bool) -> None:
        self.text, self.size, self.limit, self.final = text, len(text), limit, final
        step = self.step
        while step is not None and step(self):
            step = self.step
        self.text = ""

    def _copy(self) -> Reader:
        end = Reader(self.variant, self.pos)
        end.frames = [[fresh(container), key] for container, key in self.frames]
        end.stack = [frame[0] for frame in end.frames]
        end.result = fresh(self.result)
        end.completed, end.started = self.completed, self.started
        end.head, end.quote, end.mark = self.head, self.quote, self.mark
        end.is_key, end.step = self.is_key, self.step
        return end

    # Each step reads one thing at ``pos``. It returns False, having changed nothing but how far a text was
    # read, where the thing reaches past ``limit``; at the end of the text it does what the host does there.

    def _value(self) -> bool:
        text = self.text
        i = padding(text, self.pos)
        if i > self.limit:
            return False
        c = text[i : i + 1]
        if c == "{":
            doubled = text.startswith("{", i + 1) and not (self.variant.completes and self.stack)
            return self._open({}, i + (3 if doubled else 1), Reader._object)
        if c == "[":
            return self._open([], i + 1, Reader._array)
        if c in RUN:
            if text.startswith(c * 2, i + 1):
                self.quote, self.mark = c * 3, i + 3
                self.pos, self.step = i + 3, Reader._long_text
                return True
            return self._begin_text(i + 1, c, is_key=False)
        if not c:
            return self._deliver(None, i)
        if c.isdigit() or c in "-+":
            return self._number(i)
        return self._word(i, c)

    def _open(self, container: Any, i: int, step: Callable[[Reader], bool]) -> bool:
        if len(self.frames) >= MAX_DEPTH:
            raise Unfit
        self.frames.append([container, None])
        self.stack.append(container)
        self.started = True
        self.pos, self.step = i, step
        return True

    def _long_text(self) -> bool:
        text = self.text
        end = text.find(self.quote, self.mark)
        after = end + 3
        if end < 0:
            end = after = self.size
        if after > self.limit:
            # No closing quotes begin before here; a text that goes on from this one need not look again.
            self.mark = max(self.mark, min(end - 2, self.limit))
            self.far = max(self.far, self.mark + 2)
            return False
        return self._deliver(text[self.pos : end].strip(), after)

    def _number(self, i: int) -> bool:
        text, end = self.text, i
        while end < self.size and (text[end].isdigit() or text[end] in "-+.eE"):
            end += 1
        if end > self.limit:
            return False
        try:
            value: float = int(text[i:end])
        except ValueError:
            try:
                value = float(text[i:end])
            except ValueError:
                raise Unfit from None
        return self._deliver(value, end)

    def _word(self, i: int, c: str) -> bool:
        text = self.text
        for word, value in _WORDS:
            if c.lower() == word[0] and text[i + 1 : i + len(word)].lower() == word[1:]:
                return self._deliver(value, i + len(word))
        end = first(text, ":,}]", i)
        if end > self.limit:
            return False
        return self._deliver(text[i:end].strip(), end + 1)

    def _object(self) -> bool:
        text = self.text
        if self.pos >= self.size:
            return self._leave()
        i = padding(text, self.pos)
        if i > self.limit:
            return False
        c = text[i : i + 1]
        if c == "}":
            alone = self.variant.completes and len(self.stack) != 1
            return self._close(i + (2 if text.startswith("}", i + 1) and not alone else 1), closed=True)
        if not c:
            return self._close(i, closed=False)
        if c in "\"'":
            return self._begin_text(i + 1, c, is_key=True)
        end = _BARE_KEY.match(text, i).end()  # type: ignore[union-attr]
        if end > self.limit:
            return False
        self.frames[-1][1] = text[i:end]
        self.pos, self.step = end, Reader._colon
        return True

    def _after_key(self) -> bool:
        self.step = Reader._colon
        return True

    def _colon(self) -> bool:
        i = padding(self.text, self.pos)
        if i > self.limit:
            return False
        if i >= self.size:
            return self._deliver(None, i)
        self.pos, self.step = i + (self.text[i] == ":"), Reader._value
        return True

    def _after_member(self) -> bool:
        i = padding(self.text, self.pos)
        if i > self.limit:
            return False
        if i >= self.size:
            return self._close(i, closed=False)
        self.pos, self.step = i + (self.text[i] == ","), Reader._object
        return True

    def _array(self) -> bool:
        if self.pos >= self.size:
            return self._leave()
        i = padding(self.text, self.pos)
        if i > self.limit:
            return False
        if self.text.startswith("]", i):
            return self._close(i + 1, closed=True)
        self.pos, self.step = i, Reader._value
        return True

    def _after_element(self) -> bool:
        text = self.text
        i = padding(text, self.pos)
        if i > self.limit:
            return False
        if text.startswith(",", i):
            i = padding(text, i + 1)
            if i > self.limit:
                return False
            if i >= self.size or text[i] == "]":
                return self._close(i + (i < self.size), closed=True)
        elif not text.startswith("]", i):
            return self._close(i, closed=False)
        self.pos, self.step = i, Reader._array
        return True

    def _close(self, i: int, *, closed: bool) -> bool:
        self.pos = i
        self.stack.pop()
        if closed and not self.stack:
            self.completed = True
        return self._leave()

    def _leave(self) -> bool:
        # At the end of the text the host leaves a container without taking it off its stack, and what is
        # delivered after that goes into that one.
        return self._deliver(self.frames.pop()[0], self.pos)

    def _deliver(self, value: Any, i: int) -> bool:
        self.pos = i
        if not self.frames:
            self.result, self.step = value, None
            return True
        container, key = self.frames[-1]
        target = self.stack[-1]
        if type(target) is not type(container):
            raise Unfit
        if type(container) is dict:
            target[key] = value
            self.step = Reader._after_member
        else:
            target.append(value)
            self.step = Reader._after_element
        return True


def fresh(value: Any) -> Any:
    """A copy of parsed data that shares no container with it."""
    if type(value) is dict:
        return {k: fresh(v) if type(v) in _CONTAINERS else v for k, v in value.items()}
    if type(value) is list:
        return [fresh(v) if type(v) in _CONTAINERS else v for v in value]
    return value
