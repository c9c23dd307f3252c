"""Results that hold as long as the paths they came from look the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from autoperf.memo.snapshot import Look, Witness
from autoperf.memo.watch import Seen, Vigil

ENTRIES: Final = 512
V = TypeVar("V")


class _Result(Seen, Generic[V]):
    __slots__ = ("value",)

    def __init__(self, value: V, looks: dict[str, Look]) -> None:
        super().__init__(looks)
        self.value = value


class Kept(Generic[V]):
    """Least recently used first, bounded; what is found is the kept object itself: hand out copies."""

    def __init__(self, vigil: Vigil, entries: int = ENTRIES) -> None:
        self._results: OrderedDict[Hashable, _Result[V]] = OrderedDict()
        self._vigil = vigil
        self._entries = entries
        self._lock = threading.Lock()

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.Lock()

    def clear(self) -> int:
        """Forget everything; how many results there were."""
        with self._lock:
            count = len(self._results)
            self._results.clear()
            return count

    def find(self, key: Hashable) -> V | None:
        """The result kept for ``key`` if every path looks as it did, else None."""
        kept = self._results.get(key)
        if kept is None:
            return None
        fresh = self._vigil.holds(kept)
        with self._lock:
            if fresh:
                if key in self._results:
                    self._results.move_to_end(key)
            else:
                self._results.pop(key, None)
        return kept.value if fresh else None

    def keep(self, key: Hashable, result: V, witness: Witness) -> None:
        """Keep ``result``, unless a path had been touched so lately that the next change may not show."""
        if not witness.settled():
            return
        with self._lock:
            self._results[key] = _Result(result, witness.looks)
            while len(self._results) > self._entries:
                self._results.popitem(last=False)
