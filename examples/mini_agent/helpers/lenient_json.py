"""A forgiving JSON reader: what has arrived of a value that is still being written is already a value."""

from __future__ import annotations

from typing import Any

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


class LenientJson:
    """Reads the first value in a text; prose before it and anything after it are ignored.

    After `parse`, `completed` says whether the root object or list was closed, `index` where reading stopped.
    """

    def __init__(self) -> None:
        self._reset("")

    def _reset(self, json_string: str) -> None:
        self.json_string = json_string
        self.index = 0
        self.completed = False
        self.result: Any = None
        self._depth = 0

    @staticmethod
    def parse_string(json_string: str) -> Any:
        """Return the value in a text, as far as it goes; None if there is none."""
        return LenientJson().parse(json_string)

    def parse(self, json_string: str) -> Any:
        """Read a whole text from its beginning; a longer one needs another call, not a continuation."""
        self._reset(json_string)
        starts = [at for at in map(json_string.find, '{["') if at >= 0]
        if starts:
            self.index = min(starts)
            self.result = self._parse_value()
        return self.result

    def _peek(self) -> str:
        return self.json_string[self.index : self.index + 1]

    def _skip_whitespace(self) -> str:
        while self._peek().isspace():
            self.index += 1
        return self._peek()

    def _parse_value(self) -> Any:
        char = self._skip_whitespace()
        if char == "{":
            return self._parse_object()
        if char == "[":
            return self._parse_array()
        if char and char in "\"'":
            return self._parse_string()
        return self._parse_word() if char else None

    def _parse_object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._open()
        while char := self._skip_whitespace():
            if char == "}":
                self._close()
                break
            if char == ",":
                self.index += 1
                continue
            key = self._parse_string() if char in "\"'" else str(self._parse_word())
            if self._skip_whitespace() == ":":
                self.index += 1
                found[key] = self._parse_value()
            else:
                found[key] = None
        return found

    def _parse_array(self) -> list[Any]:
        found: list[Any] = []
        self._open()
        while char := self._skip_whitespace():
            if char == "]":
                self._close()
                break
            if char == ",":
                self.index += 1
                continue
            found.append(self._parse_value())
        return found

    def _open(self) -> None:
        self.index += 1
        self._depth += 1

    def _close(self) -> None:
        self.index += 1
        self._depth -= 1
        self.completed = self._depth == 0

    def _parse_string(self) -> str:
        quote = self._peek()
        parts: list[str] = []
        self.index += 1
        while char := self._peek():
            self.index += 1
            if char == quote:
                break
            parts.append(self._parse_escape() if char == "\\" else char)
        return "".join(parts)

    def _parse_escape(self) -> str:
        char = self._peek()
        self.index += 1
        if char != "u":
            return _ESCAPES.get(char, char)
        digits = self.json_string[self.index : self.index + 4]
        self.index += len(digits)
        try:
            return chr(int(digits, 16)) if len(digits) == 4 else ""
        except ValueError:
            return digits

    def _parse_word(self) -> Any:
        begin = self.index
        while (char := self._peek()) and char not in ":,}]\n":
            self.index += 1
        if self.index == begin:
            # A stray closing bracket would otherwise be looked at for ever.
            self.index += 1
        word = self.json_string[begin : self.index].strip()
        for convert in (int, float):
            try:
                return convert(word)
            except ValueError:
                continue
        return _WORDS.get(word, word)
