"""openai: the events of one streamed answer, made after the first few of them.

An event is JSON, from which openai constructs an object by looking at every field's type, again for every
event. Here the object is made after those that openai itself has made from the same text with other strings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from autoperf.errors import guarded
from autoperf.instrumentation.clients.json_templates import Pattern, pattern, read
from autoperf.instrumentation.clients.templates import DifferentError, Make, recipe, take
from autoperf.patching.patch import Switch

STREAM: Final = "openai._streaming:AsyncStream.__stream__"
SLOT: Final = "_autoperf_events"
# What is learnt costs as much as some events do: short answers are left alone, odd ones given up.
_FIRST: Final = 4
_ATTEMPTS: Final = 4
GIVEN_UP: Final = "it cannot be made from earlier ones"
_SAMPLES: Final = (
    ("autoperf one \u00e9", "autoperf two", "autoperf three", "autoperf four"),
    ('autoperf "five"', "autoperf six \n", "autoperf seven", "autoperf eight"),
)


class Counter(Protocol):
    """Counts what was made here, and what had to be left to the client."""

    hits: int
    misses: int

    def missed_for(self, reason: str) -> None:
        """The last miss was for ``reason``."""


class Kind:
    """One kind of event: the ``pattern`` of its text, and what makes its object from the strings."""

    __slots__ = ("make", "pattern")

    def __init__(self, pattern: Pattern, make: Make) -> None:
        self.pattern = pattern
        self.make = make


class Events:
    """The kinds of event of one stream, and the ``last`` one that was made here: object, kind, strings."""

    def __init__(self, stream: Any, switch: Switch, memo: Counter, known: Callable[[], bool]) -> None:
        self.switch = switch
        self.iterator: Any = None
        self.last: Any = None
        self.kind: Kind | None = None
        self.strings: list[str] = []
        self.chunks: dict[Kind, Any] = {}
        self._memo = memo
        self._known = known
        self._stream = stream
        self._kinds: list[Kind] = []
        self._seen = 0
        self._attempts = _ATTEMPTS

    def take(self, sse: Any) -> Any:
        """The object of an event, if its kind is known here; else None."""
        with guarded(STREAM):
            return self._take(sse) if self._kinds and self.switch.on else None
        return None

    def _take(self, sse: Any) -> Any:
        if sse._event:
            return None
        text = sse._data
        for kind in self._kinds:
            strings = kind.pattern.strings(text)
            if strings is not None:
                made = kind.make(strings, 0.0)
                self.last, self.kind, self.strings = made, kind, strings
                self._memo.hits += 1
                return made
        self._memo.misses += 1
        return None

    def learn(self, sse: Any, made: Any) -> Any:
        """Look at an object that openai has ``made`` from an event; it is returned as it is."""
        self._seen += 1
        with guarded(STREAM):
            if self._attempts and self._seen >= _FIRST and self.switch.on and not sse._event:
                self._learn(sse._data, made)
            elif not self._attempts and not self._kinds:
                self._memo.misses += 1
                self._memo.missed_for(GIVEN_UP)
        return made

    def _learn(self, text: str, made: Any) -> None:
        if type(made).__name__ != "ChatCompletionChunk" or not self._known():
            self._attempts = 0
            return
        found = pattern(text)
        if found is None:
            return
        self._attempts -= 1
        kind = self._kind(found)
        strings = found.strings(text)
        if kind is not None and strings is not None and _same(kind.make(strings, 0.0), made):
            self._kinds.insert(0, kind)

    def _kind(self, found: Pattern) -> Kind | None:
        client = self._stream._client
        if client._strict_response_validation or "_process_response_data" in vars(client):
            return None
        samples = [sample[: found.size] for sample in _SAMPLES]
        made = [
            client._process_response_data(
                data=read(found.text(sample)), cast_to=self._stream._cast_to, response=self._stream.response
            )
            for sample in samples
        ]
        try:
            return Kind(found, recipe(take(made[0]), take(made[1]), *samples))
        except DifferentError:
            return None


def _same(one: Any, other: Any) -> bool:
    try:
        recipe(take(one), take(other), (), ())
    except DifferentError:
        return False
    return True
