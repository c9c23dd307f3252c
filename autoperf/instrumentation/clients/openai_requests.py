"""Messages of a request, copied where openai would look through every type that each of them could be of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.clients.known_sources import RELIED_ON, require
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_parameters

TARGET: Final = "openai._utils._transform:_async_transform_recursive"
_SHAPES_KEPT: Final = 2_000
# Whatever a type says, a value of these comes out as it went in.
_PLAIN: Final = frozenset((str, int, float, bool, type(None)))

Names = tuple[str, ...]
Transform = Callable[..., Coroutine[Any, Any, Any]]


class Counter(Protocol):
    """Of a memo: how often it had an answer, and how often not."""

    hits: int
    misses: int


class _Shape:
    """Dictionaries of plain values with the same keys, of one type: the keys that come out.

    With ``same`` it is the dictionary itself. The types are held: their ids are what they are found by.
    """

    __slots__ = ("names", "same", "types")

    def __init__(self, types: tuple[Any, Any], names: Names | None, same: bool) -> None:
        self.types = types
        self.names = names
        self.same = same


def transforming(memo: Counter) -> Callable[[Transform, Switch], Shortcut]:
    """Replaces ``_async_transform_recursive(data, *, annotation, inner_type)``, which calls itself by name.

    What comes out of a dictionary of plain values depends on its type and its keys alone: they are named
    anew, or it is handed back. Everything else goes through openai's own code, down to what is plain.
    """

    def build(original: Transform, switch: Switch) -> Shortcut:
        expect_parameters(original, "data", "annotation", "inner_type")
        space: dict[str, Any] = original.__globals__
        for name in RELIED_ON["openai requests"]:
            require(name, original if name == TARGET else space.get(name.partition(":")[2]))
        others = [name.partition(":")[2] for name in RELIED_ON["openai requests"] if name != TARGET]
        trusted = [(name, space[name]) for name in others]
        shapes: dict[tuple[int, int, Names], _Shape] = {}

        def key_of(data: Any, annotation: Any, inner_type: Any) -> Any:
            if type(data) is not dict or not data or not _PLAIN.issuperset(map(type, data.values())):
                return None
            return id(annotation), id(inner_type), tuple(data)

        def known(data: Any, *, annotation: Any, inner_type: Any = None) -> Any:
            key = key_of(data, annotation, inner_type)
            shape = None if key is None or not trusts() else shapes.get(key)
            if shape is None:
                return MISS
            memo.hits += 1
            return data if shape.same else dict(zip(shape.names or (), data.values(), strict=True))

        def trusts() -> bool:
            for name, function in trusted:
                if space.get(name) is not function:
                    switch.stand_aside(f"{name}, which it relies on, was replaced")
                    return False
            if switch.aside is not None:
                switch.act_again()
            return True

        async def _async_transform_recursive(
            call: Any, data: Any, *, annotation: Any, inner_type: Any = None
        ) -> Any:
            key = key_of(data, annotation, inner_type)
            made = await call(data, annotation=annotation, inner_type=inner_type)
            if key is not None:
                memo.misses += 1
                shape = _shape((annotation, inner_type), data, made)
                if shape is not None and len(shapes) < _SHAPES_KEPT and trusts():
                    shapes[key] = shape
            return made

        return Shortcut(known, _async_transform_recursive)

    return build


def _shape(types: tuple[Any, Any], data: dict[str, Any], made: Any) -> _Shape | None:
    if made is data:
        return _Shape(types, None, True)
    if type(made) is not dict or len(made) != len(data):
        return None
    if any(a is not b for a, b in zip(data.values(), made.values(), strict=True)):
        return None
    return _Shape(types, tuple(made), False)
