"""A forgiving JSON reader: what has arrived of a value that is still being written is already a value."""

from __future__ import annotations

from typing import Any

_MEANINGS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}


class DirtyJson:
    """Reads the first value in a text from its beginning; prose before it and anything after it are ignored.

    After `parse`, `completed` says whether the root object or list was closed, `index` where reading stopped.
    Raises where an answer that is still growing makes no sense yet.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.json_string = ""
        self.index = 0
        self.current_char: str | None = None
        self.result: Any = None
        self.stack: list[Any] = []
        self.completed = False
        self._parsing_started = False

    @staticmethod
    def parse_string(json_string: str) -> Any:
        """Return the value in a text, as far as it goes; None if there is none."""
        return DirtyJson().parse(json_string)

    def parse(self, json_string: str) -> Any:
        """Read a whole text; a longer one needs another call, not a continuation."""
        self._reset()
        self.json_string = json_string
        if not json_string:
            return None
        found = [place for place in map(json_string.find, '{["') if place >= 0]
        self._go(min(found, default=0))
        self.result = self._anything()
        return self.result

    def _go(self, count: int = 1) -> None:
        self.index += count
        inside = self.index < len(self.json_string)
        self.current_char = self.json_string[self.index] if inside else None

    def _ahead(self, count: int) -> str:
        return self.json_string[self.index + 1 : self.index + 1 + count]

    def _skip(self, index: int) -> int:
        text = self.json_string
        while index < len(text):
            two = text[index : index + 2]
            if text[index].isspace():
                index += 1
            elif two == "//":
                while index < len(text) and text[index] != "\n":
                    index += 1
            elif two == "/*":
                end = text.find("*/", index + 2)
                index = len(text) if end < 0 else end + 2
            else:
                break
        return index

    def _blank(self) -> None:
        if self.current_char is not None:
            self._go(self._skip(self.index) - self.index)

    def _anything(self) -> Any:
        self._blank()
        char = self.current_char
        if char is None:
            return None
        if char == "{":
            if self._ahead(1) == "{" and not self.stack:
                self._go(2)
            return self._inside({}, self._members)
        if char == "[":
            return self._inside([], self._elements)
        if char in "\"'`":
            return self._fenced(char) if self._ahead(2) == char * 2 else self._quoted(char, key=False)
        if char.isdigit() or char in "+-":
            return self._number()
        for word, meaning in _WORDS.items():
            if (char + self._ahead(len(word) - 1)).lower() == word:
                self._go(len(word))
                return meaning
        plain = self._until(":,}]")
        self._go()
        return plain.strip()

    def _inside(self, container: Any, read: Any) -> Any:
        self._go()
        self.stack.append(container)
        self._parsing_started = True
        read()
        return container

    def _leave(self, closed: bool) -> None:
        self.stack.pop()
        if closed and not self.stack:
            self.completed = True

    def _members(self) -> None:
        while self.current_char is not None:
            self._blank()
            if self.current_char == "}":
                wrapped = self._ahead(1) == "}" and len(self.stack) <= 1
                self._go(2 if wrapped else 1)
                self._leave(closed=True)
                return
            if self.current_char is None:
                self._leave(closed=False)
                return
            char = self.current_char
            key = self._quoted(char, key=True) if char in "\"'" else self._until(":,}]", blank=True)
            self._blank()
            if self.current_char == ":":
                self._go()
            value = self._anything()
            self.stack[-1][key] = value
            self._blank()
            if self.current_char is None:
                self._leave(closed=False)
                return
            if self.current_char == ",":
                self._go()

    def _elements(self) -> None:
        while self.current_char is not None:
            self._blank()
            if self.current_char == "]":
                self._go()
                self._leave(closed=True)
                return
            value = self._anything()
            self.stack[-1].append(value)
            self._blank()
            if self.current_char == ",":
                self._go()
                self._blank()
                if self.current_char in (None, "]"):
                    self._go(0 if self.current_char is None else 1)
                    self._leave(closed=True)
                    return
            elif self.current_char != "]":
                self._leave(closed=False)
                return

    def _quoted(self, quote: str, key: bool) -> str:
        read: list[str] = []
        self._go()
        while self.current_char is not None:
            char = self.current_char
            if char == quote:
                if self._ends(key):
                    self._go()
                    break
                read.append(char)
            elif char != "\\":
                read.append(char)
            elif self._ahead(1) == "u":
                self._go(2)
                digits = ""
                while len(digits) < 4:
                    if not (self.current_char or "").isalnum():
                        return "".join(read) + "\\u" + digits
                    digits += self.current_char
                    self._go()
                try:
                    read.append(chr(int(digits, 16)))
                except ValueError:
                    read.append("\\u" + digits)
                continue
            else:
                self._go()
                if self.current_char is not None and self.current_char in "\"'\\/bfnrt":
                    read.append(_MEANINGS.get(self.current_char, self.current_char))
            self._go()
        return "".join(read)

    def _ends(self, key: bool) -> bool:
        text = self.json_string
        index = self._skip(self.index + 1)
        if index >= len(text):
            return True
        if key or text[index] in ",}]":
            return text[index] in ":,}]"
        quote = text[index]
        if not self.stack or not isinstance(self.stack[-1], dict) or quote not in "\"'":
            return False
        index += 1
        while index < len(text) and text[index] != quote:
            if text[index] in "\n\r{}[],":
                return False
            index += 2 if text[index] == "\\" else 1
        return text[self._skip(index + 1) :][:1] == ":"

    def _fenced(self, quote: str) -> str:
        self._go(3)
        start = self.index
        end = self.json_string.find(quote * 3, start)
        self._go((len(self.json_string) if end < 0 else end + 3) - start)
        return self.json_string[start : len(self.json_string) if end < 0 else end].strip()

    def _number(self) -> float:
        start = self.index
        while self.current_char is not None and (self.current_char.isdigit() or self.current_char in "+-.eE"):
            self._go()
        digits = self.json_string[start : self.index]
        try:
            return int(digits)
        except ValueError:
            return float(digits)

    def _until(self, ends: str, blank: bool = False) -> str:
        start = self.index
        while self.current_char is not None and self.current_char not in ends:
            if blank and self.current_char.isspace():
                break
            self._go()
        return self.json_string[start : self.index]
