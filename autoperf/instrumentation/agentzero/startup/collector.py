"""Garbage collection waits while the host imports, and is back when the server's port is open."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch

# The first thing each server does once its port is open.
SERVERS: Final = (
    "uvicorn.server:Server._log_started_message",
    "werkzeug.serving:BaseWSGIServer.serve_forever",
)
# Net allocations of containers between two collections of the youngest generation. Importing Agent Zero makes
# three million; without any collection the heap grows by what dies on the way.
THRESHOLD: Final = 250_000
# Seconds; a start on a slow disk takes longer, and is collected from then on as usual.
LIMIT_S: Final = 60.0
# Looks, a second apart, that find no new module: the imports are over, whether or not a server runs.
STILL: Final = 3
# Objects that Python itself has frozen before anything runs: 375 in 3.12, none in 3.10, 3.11 and 3.13.
PYTHONS_OWN: Final = 2_000

Build = Callable[[Any, Switch], Any]


def rows(_targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Hold collection from now until a port is open, the imports have come to rest, or a minute is over."""
    collection = HeldCollection()
    probe.after_fork.append(collection.give_back)
    probe.at_stop.append(collection.give_back)
    probe.idle_work.append(collection.look)
    collection.hold()
    for target in SERVERS:
        yield target, _open(collection)


def _open(collection: HeldCollection) -> Build:
    def build(_original: Any, _switch: Switch) -> Any:
        def serving(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            if collection.held:
                collection.finish()
            return call(*args, **kwargs)

        return serving

    return build


class HeldCollection:
    """Raises the collector's threshold with `hold` and puts it back with `finish` or `give_back`, once.

    What the process itself decides stands: a collector that is off stays off, and a threshold that is another
    meanwhile is left alone.
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
        before, self._before = self._before, None
        if before is not None and gc.get_threshold() == (THRESHOLD, *before[1:]):
            gc.set_threshold(*before)

    def finish(self) -> None:
        """Collect as before, with everything made so far in the oldest generation.

        Left to itself the collector would look at each of these objects three times soon after: in the
        youngest generation, in the middle one and in the oldest. What somebody else has frozen stays so.
        """
        if gc.isenabled() and gc.get_freeze_count() <= PYTHONS_OWN:
            # Before the threshold is back: to Python 3.11 the next allocation would collect it all.
            gc.freeze()
            gc.unfreeze()
        self.give_back()

    def look(self) -> None:
        """To be called once a second: finishes when nothing is imported any more, or after the limit."""
        if self.held:
            modules = len(sys.modules)
            self._still = self._still + 1 if modules == self._modules else 0
            self._modules = modules
            if self._still >= STILL or self._clock() - self._since >= LIMIT_S:
                self.finish()
