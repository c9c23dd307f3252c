"""Python's garbage collector, held back while a process imports what it will keep anyway."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Final

# Net allocations of containers between two collections of the youngest generation. Importing Agent Zero makes
# half a million, with PyTorch two; a process that never stops allocating still collects.
THRESHOLD: Final = 5_000_000
# Seconds; a start on a slow disk takes longer, and is collected from then on as usual.
LIMIT_S: Final = 60.0
# Looks, a second apart, that find no new module: the imports are over, whether or not a server runs.
STILL: Final = 3
# Looks in a row between which the process took less than this share of one core: nobody waits for it.
QUIET: Final = 5
QUIET_SHARE: Final = 0.1


class HeldCollection:
    """Raises the collector's threshold with `hold` and puts it back with `finish` or `give_back`, once.

    What was imported is then kept out of every later collection (``gc.freeze``), as servers that fork do: of
    300,000 objects a few dozen are garbage, and looking at all of them takes half a second. That look is owed
    until a time at which the process does nothing and, by ``busy``, waits for nothing either.

    What the process itself decides stands: a collector that is off stays off, a threshold that somebody else
    has set meanwhile is left alone, and where something is frozen already nothing more is. ``gc.disable`` and
    ``gc.enable`` act as ever.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.process_time,
        busy: Callable[[], object] = bool,
    ) -> None:
        self._clock = clock
        self._worked = worked
        self._busy = busy
        self._frozen = False
        self._owed = False
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

    def give_back(self) -> None:
        """Collect as before, and owe nothing; what is frozen stays so: a child shares it with its parent."""
        self._put_back()
        self._owed = False

    def undo(self) -> None:
        """`give_back`, and let the collector see everything again."""
        self.give_back()
        if self._frozen:
            self._frozen = False
            gc.unfreeze()

    def finish(self) -> None:
        """Collect as before, but leave out what there is by now.

        Left to itself the collector would look at each of these objects three times soon after: in the
        youngest generation, in the middle one and in the oldest.
        """
        if self._put_back() and gc.isenabled() and not gc.get_freeze_count():
            gc.freeze()
            self._frozen = self._owed = True
            self._last = (self._clock(), self._worked())

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
        elif self._owed:
            before, self._last = self._last, (self._clock(), self._worked())
            passed, worked = self._last[0] - before[0], self._last[1] - before[1]
            still = worked < passed * QUIET_SHARE and not self._busy()
            self._quiet = self._quiet + 1 if still else 0
            if self._quiet >= QUIET:
                self._settle()

    def _settle(self) -> None:
        self._owed = False
        if gc.isenabled():
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _put_back(self) -> bool:
        before, self._before = self._before, None
        if before is None or gc.get_threshold() != (THRESHOLD, *before[1:]):
            return False
        gc.set_threshold(*before)
        return True
