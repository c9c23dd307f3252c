"""Python's garbage collector, held back while a process imports what it will keep anyway."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

# Net allocations of containers between two collections of the youngest generation. Importing Agent Zero makes
# three million; without any collection the heap grows by what dies on the way.
THRESHOLD: Final = 250_000
# Seconds; a start on a slow disk takes longer, and is collected from then on as usual.
LIMIT_S: Final = 60.0
# Looks, a second apart, that find no new module: the imports are over, whether or not a server runs.
STILL: Final = 3
# Looks in a row between which the process took less than this share of one core: nobody waits for it.
QUIET: Final = 5
QUIET_SHARE: Final = 0.1
# Objects that Python itself has frozen before anything runs: 375 in 3.12, none in 3.10, 3.11 and 3.13.
PYTHONS_OWN: Final = 2_000


class HeldCollection:
    """Raises the collector's threshold with `hold` and puts it back with `finish` or `give_back`, once.

    What was imported is then kept out of every later collection (``gc.freeze``), as servers that fork do: of
    300,000 objects a few dozen are garbage, and looking at all of them takes half a second. That look is owed
    until a time at which the process does nothing and, by ``busy``, waits for nothing either.

    ``listed`` are the identities of the host's chats. When one that was frozen is missing, everything is
    collected in the next such time, and from then on as ever: frozen again, what work leaves behind stays.

    What the process itself decides stands: a collector that is off stays off, a threshold that somebody else
    has set meanwhile is left alone, and where something is frozen already, or later by somebody else, nothing
    more is. ``gc.disable`` and ``gc.enable`` act as ever.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
        busy: Callable[[], object] = bool,
        listed: Callable[[], frozenset[int]] = frozenset,
    ) -> None:
        self._clock = clock
        self._worked = worked
        self._busy = busy
        self._listed = listed
        self._lock = threading.RLock()
        self._frozen = 0  # objects, when we froze them
        self._owed = False
        self._with: frozenset[int] = frozenset()  # what was listed then
        self._quiet = 0
        self._last = (0.0, 0.0)
        self._before: tuple[int, int, int] | None = None
        self._since = 0.0
        self._modules = 0
        self._still = 0

    @property
    def held(self) -> bool:
        """Whether collection waits."""
        return self._before is not None

    def hold(self) -> None:
        """Let collection wait from now on; nothing where it is off, or rarer already."""
        before = gc.get_threshold()
        if self.held or not gc.isenabled() or not 0 < before[0] < THRESHOLD:
            return
        self._before, self._since = before, self._clock()
        gc.set_threshold(THRESHOLD, *before[1:])

    def forked(self) -> None:
        """In a child made by fork, where no thread looks: collect as before, and owe nothing.

        What is frozen stays so, for the child shares it with its parent.
        """
        self._lock = threading.RLock()
        self.give_back()

    def give_back(self) -> None:
        """Collect as before, and owe nothing."""
        self._put_back()
        self._owed = False

    def undo(self) -> None:
        """`give_back`, and let the collector see everything again."""
        with self._lock:
            self.give_back()
            if self._is_ours():
                gc.unfreeze()
            self._frozen = 0

    def finish(self) -> None:
        """Collect as before, but leave out what there is by now.

        Left to itself the collector would look at each of these objects three times soon after: in the
        youngest generation, in the middle one and in the oldest.
        """
        with self._lock:
            # Before the threshold is back: to Python 3.11 the next allocation would collect it all.
            try:
                if self._stands() and gc.isenabled() and gc.get_freeze_count() <= PYTHONS_OWN:
                    self._freeze()
                    self._owed = True
            finally:
                self._put_back()

    def look(self) -> None:
        """To be called once a second: ends the waiting when nothing is imported any more, or after the limit.

        Later it collects once what was garbage at that time, when the process does nothing else.
        """
        if self.held:
            modules = len(sys.modules)
            self._still = self._still + 1 if modules == self._modules else 0
            self._modules = modules
            if self._still >= STILL or self._clock() - self._since >= LIMIT_S:
                self.finish()
        elif self._frozen:
            now, worked = self._clock(), self._worked()
            passed, spent = now - self._last[0], worked - self._last[1]
            self._last = now, worked
            self._quiet = self._quiet + 1 if spent < passed * QUIET_SHARE and not self._busy() else 0
            if self._quiet >= QUIET and (self._owed or not self._with <= self._listed()):
                self._settle()

    def _settle(self) -> None:
        with self._lock:
            if not self._is_ours():
                self.undo()
            elif gc.isenabled():
                gc.unfreeze()
                gc.collect()
                _trim()
                self._frozen = 0
                if self._with <= self._listed():
                    self._freeze()
            self._owed = False

    def _freeze(self) -> None:
        self._with = self._listed()
        gc.freeze()
        self._frozen = gc.get_freeze_count()
        self._since = self._clock()
        self._last = self._since, self._worked()

    def _is_ours(self) -> bool:
        """Whether what is frozen is what we froze, as far as it still lives."""
        return 0 < gc.get_freeze_count() <= self._frozen

    def _stands(self) -> bool:
        """Whether the threshold is the one that was set here."""
        return self._before is not None and gc.get_threshold() == (THRESHOLD, *self._before[1:])

    def _put_back(self) -> None:
        if self._before is not None and self._stands():
            gc.set_threshold(*self._before)
        self._before = None


def _trim() -> None:
    """Give the pages that glibc's allocator holds free back to the system; others do so by themselves."""
    with contextlib.suppress(ImportError, OSError, AttributeError, TypeError):
        import ctypes  # some Pythons are built without

        ctypes.CDLL(None).malloc_trim(0)
