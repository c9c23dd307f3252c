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


class HeldCollection:
    """Raises the collector's threshold with `hold` and puts it back with `finish` or `give_back`, once.

    What the process itself decides stands: a collector that is off stays off, and a threshold that somebody
    else has set meanwhile is left alone. ``gc.disable`` and ``gc.enable`` act as ever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
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
        """Collect as before."""
        self._put_back()

    def finish(self) -> None:
        """`give_back`, and one collection of all that was made meanwhile.

        Left to itself the collector would look at each of these objects three times soon after: in the
        youngest generation, in the middle one and in the oldest.
        """
        if self._put_back() and gc.isenabled():
            gc.collect()

    def look(self) -> None:
        """To be called once a second: gives back when nothing is imported any more, or after the limit."""
        if not self.held:
            return
        modules = len(sys.modules)
        self._still = self._still + 1 if modules == self._modules else 0
        self._modules = modules
        if self._still >= STILL or self._clock() - self._since >= LIMIT_S:
            self.finish()

    def _put_back(self) -> bool:
        before, self._before = self._before, None
        if before is None or gc.get_threshold() != (THRESHOLD, *before[1:]):
            return False
        gc.set_threshold(*before)
        return True
