"""What objects made one after another have in common, and more of them made without their constructors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

Make = Callable[[Sequence[str], float], Any]
_ATOMS: Final = (type(None), bool, int, float, str, bytes)
# The one value that a client takes from the clock; see `Taken`.
_CLOCK: Final = "created_at"
_PARTS: Final = ("__dict__", "__pydantic_extra__", "__pydantic_private__")
_FIELDS_SET: Final = "__pydantic_fields_set__"
_set: Final = object.__setattr__


class DifferentError(Exception):
    """Two objects differ in more than the texts that are known to differ."""


class Taken(NamedTuple):
    """What an object looked like at one moment: ``parts`` are its own parts, taken likewise.

    ``kind`` is atom, dict, list, model or other; ``value`` is the object itself, which may change later.
    """

    kind: str
    value: Any
    parts: tuple[tuple[str, Taken], ...] = ()
    fields: frozenset[str] = frozenset()


def take(value: Any) -> Taken:
    """Take down ``value`` and all that it is made of."""
    kind = type(value)
    if kind in _ATOMS:
        return Taken("atom", value)
    if kind is dict and all(type(key) is str for key in value):
        return Taken("dict", value, tuple((key, take(part)) for key, part in value.items()))
    if kind is list:
        return Taken("list", value, tuple(("", take(part)) for part in value))
    if hasattr(kind, _FIELDS_SET) and hasattr(kind, "model_fields"):
        parts = tuple((name, take(getattr(value, name))) for name in _PARTS)
        return Taken("model", value, parts, frozenset(getattr(value, _FIELDS_SET)))
    return Taken("other", value)


def recipe(first: Taken, second: Taken, olds: Sequence[str], news: Sequence[str]) -> Make:
    """A function of texts and a time that makes the like of ``first`` and ``second``.

    ``olds`` are the texts in which the first is peculiar and ``news`` those of the second, in the same order.
    An object that both share is shared by what is made; every other one is made anew. Raises
    ``DifferentError`` if they differ in more than that.
    """
    return _Aligned(olds, news).make(first, second)


class _Aligned:
    def __init__(self, olds: Sequence[str], news: Sequence[str]) -> None:
        self._pairs = list(zip(olds, news, strict=True))

    def make(self, first: Taken, second: Taken) -> Make:
        made = self._of(first, second)
        return made if callable(made) else _constant(made.value)

    def _of(self, first: Taken, second: Taken) -> Make | Taken:
        """What makes it; where it is always the same, that itself."""
        if first.kind != second.kind or type(first.value) is not type(second.value):
            raise DifferentError
        if first.kind == "atom":
            return self._atom(first, second)
        if first.value is second.value:
            return second
        if first.kind == "other":
            raise DifferentError
        keys = [key for key, _ in first.parts]
        if keys != [key for key, _ in second.parts] or first.fields != second.fields:
            raise DifferentError
        parts = [
            (key, _clock if _is_clock(key, one, two) else self._of(one, two))
            for (key, one), (_, two) in zip(first.parts, second.parts, strict=True)
        ]
        if first.kind == "model":
            return _model(type(first.value), parts, first.fields)
        return _dict(parts) if first.kind == "dict" else _list([part for _, part in parts])

    def _atom(self, first: Taken, second: Taken) -> Make | Taken:
        if first.value == second.value:
            return second
        pair = (first.value, second.value)
        if type(first.value) is not str or pair not in self._pairs:
            raise DifferentError
        return _text(self._pairs.index(pair))


def _is_clock(key: str, first: Taken, second: Taken) -> bool:
    return key == _CLOCK and type(first.value) is float and type(second.value) is float


def _clock(_texts: Sequence[str], now: float) -> Any:
    return now


def _constant(value: Any) -> Make:
    return lambda _texts, _now: value


def _text(index: int) -> Make:
    return lambda texts, _now: texts[index]


def _list(parts: Sequence[Make | Taken]) -> Make:
    makers = [part if callable(part) else _constant(part.value) for part in parts]
    if len(makers) == 1:
        (only,) = makers
        return lambda texts, now: [only(texts, now)]
    return lambda texts, now: [make(texts, now) for make in makers]


def _dict(parts: Sequence[tuple[str, Make | Taken]]) -> Make:
    # The order of the keys is that of the constants: each has its place from the beginning.
    common = {key: None if callable(part) else part.value for key, part in parts}
    own = [(key, part) for key, part in parts if callable(part)]
    if not own:
        return lambda _texts, _now: common.copy()

    def make(texts: Sequence[str], now: float) -> dict[str, Any]:
        made = common.copy()
        for key, part in own:
            made[key] = part(texts, now)
        return made

    return make


def _model(kind: type, parts: Sequence[tuple[str, Make | Taken]], fields: frozenset[str]) -> Make:
    values, extra, private = (part if callable(part) else _constant(part.value) for _, part in parts)

    def make(texts: Sequence[str], now: float) -> Any:
        made: Any = object.__new__(kind)
        _set(made, "__dict__", values(texts, now))
        _set(made, "__pydantic_extra__", extra(texts, now))
        _set(made, _FIELDS_SET, set(fields))
        _set(made, "__pydantic_private__", private(texts, now))
        return made

    return make
