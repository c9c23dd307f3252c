"""A bounded mapping that forgets what was not used lately, and takes no lock to be read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps entries up to ``limit`` in all, each weighing ``weigh(key, value)``; None is no value.

    Two generations: once the young one weighs half the limit it becomes the old one, and what was old and
    has not been asked for since is gone. Every single step is one operation on a dictionary, so threads
    need no lock; at worst an entry is forgotten early.
    """

    __slots__ = ("_half", "_old", "_weigh", "_weight", "_young")

    def __init__(self, limit: int, weigh: Callable[[K, V], int]) -> None:
        self._half = limit // 2
        self._weigh = weigh
        self._weight = 0
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value of ``key``, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep ``value``; one too heavy to be worth it is not kept."""
        weight = self._weigh(key, value)
        if weight > self._half:
            return
        if self._weight + weight > self._half:
            self._old, self._young, self._weight = self._young, {}, 0
        self._young[key] = value
        self._weight += weight

    def clear(self) -> int:
        """Forget everything; how much there was."""
        count = len(self)
        self._old, self._young, self._weight = {}, {}, 0
        return count

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
