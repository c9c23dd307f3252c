"""Keep the results of a host function while what they were made from is unchanged.

A memoised function is a declaration: a key, its inputs, how a caller gets a copy of its own. `Memo.wrapper`
makes the wrapper that a patch puts in the function's place.
"""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from autoperf.errors import guarded
from autoperf.errors.fence import MISS
from autoperf.memo.counters import Lookups
from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.watch import Snapshot, Watch

ENTRIES: Final = 512
# Why the host was asked.
FIRST: Final = "asked for the first time, or changed since"
UNSETTLED: Final = "it had just changed, or changed meanwhile"
UNREADABLE: Final = "something it is made from cannot be looked at"
V = TypeVar("V")


class _Entry(Snapshot, Generic[V]):
    __slots__ = ("confirmed", "value")

    def __init__(self, value: V, inputs: Inputs, confirmed: bool) -> None:
        super().__init__(inputs.looks)
        self.value = value
        self.confirmed = confirmed


class Memo(Generic[V]):
    """Results by key, least recently used first, at most ``entries``. Thread-safe.

    With ``twice`` a result is given only after it was made twice alike from the same inputs: for a host that
    passes over a file which cannot be read for the moment. ``lookups`` counts hits, and misses by reason.
    """

    def __init__(
        self, watch: Watch, lookups: Lookups, entries: int = ENTRIES, *, twice: bool = False
    ) -> None:
        self.lookups = lookups
        self._watch = watch
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._most = entries
        self._twice = twice
        self._lock = threading.RLock()

    def forked(self) -> None:
        """In a child made by fork: the lock may be held by a thread that does not exist there."""
        self._lock = threading.RLock()

    def clear(self) -> int:
        """Drop every result; how many there were."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            return count

    def find(self, key: Hashable) -> Any:
        """The result kept for ``key`` while its inputs are intact, else `MISS`; hand out copies of it."""
        entry = self._entries.get(key)
        if entry is None or not entry.confirmed:
            return MISS
        intact = self._watch.intact(entry)
        with self._lock:
            if not intact:
                self._entries.pop(key, None)
            elif key in self._entries:
                self._entries.move_to_end(key)
        return entry.value if intact else MISS

    def keep(
        self, key: Hashable, value: V, inputs: Inputs, alike: Callable[[V, V], bool] = operator.eq
    ) -> None:
        """Keep ``value``; raises `UnkeptError` if an input has just been touched: a change may not show."""
        if not inputs.settled():
            raise UnkeptError(UNSETTLED)
        with self._lock:
            before = self._entries.pop(key, None)
            confirmed = not self._twice or (
                before is not None and before.looks == inputs.looks and alike(before.value, value)
            )
            self._entries[key] = _Entry(value, inputs, confirmed)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def wrapper(
        self,
        seam: str,
        *,
        key: Callable[..., Hashable | None],
        inputs: Callable[[Inputs, Any], None],
        freeze: Callable[[Any, Any], V],
        thaw: Callable[[V, Any], Any] | None = None,
    ) -> Callable[..., Any]:
        """A wrapper (see `autoperf.errors.fence`) that asks the host only for what is not kept.

        ``key(*args, **kwargs)`` is None where only the host can tell. ``inputs(noted, key)`` notes what the
        result will be made from. ``freeze(result, key)`` makes what is kept of a result, ``thaw(kept, key)``
        a result of the caller's own; without ``thaw`` the one copies both ways. ``inputs`` and ``freeze``
        raise `UnkeptError` where nothing is to be kept.
        """
        made_for = object()  # the host may execute its module again: then its classes are others
        own = thaw or freeze

        def memoised(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            asked = noted = None
            with guarded(seam):
                asked = key(*args, **kwargs)
                if asked is not None:
                    found = self.find((made_for, asked))
                    if found is not MISS:
                        result = own(found, asked)
                        self.lookups.count(hit=True)
                        return result
                    noted = self._noted(inputs, asked)
            if asked is None:
                return call(*args, **kwargs)
            self.lookups.count(hit=False)
            result = call(*args, **kwargs)
            if noted is not None:
                with guarded(seam):
                    self._keep((made_for, asked), result, noted, freeze, own)
            return result

        return memoised

    def _noted(self, inputs: Callable[[Inputs, Any], None], key: Any) -> Inputs | None:
        noted = Inputs(self._watch)
        try:
            inputs(noted, key)
        except UnkeptError as unkept:
            self.lookups.missed_for(str(unkept))
        except (OSError, ValueError):
            self.lookups.missed_for(UNREADABLE)
        else:
            return noted
        return None

    def _keep(
        self,
        key: tuple[object, Any],
        result: Any,
        noted: Inputs,
        freeze: Callable[[Any, Any], V],
        own: Callable[[V, Any], Any],
    ) -> None:
        asked = key[1]
        try:
            frozen = freeze(result, asked)
            self.keep(key, frozen, noted, lambda one, other: bool(own(one, asked) == own(other, asked)))
        except UnkeptError as unkept:
            self.lookups.missed_for(str(unkept))
        else:
            self.lookups.missed_for(FIRST)
