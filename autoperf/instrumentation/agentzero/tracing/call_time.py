"""Where the time of one awaited call of the host goes: at work or suspended, by clock and by CPU time."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, Final

from autoperf.errors.frames import without_ours
from autoperf.errors.switch import failed

_SEAM: Final = "model streams"
_clock: Final = time.perf_counter
# Of this thread; without it, as on some systems, there are no CPU times.
_cpu: Final = getattr(time, "thread_time", lambda: 0.0)

# What goes on in a call: each has its place in the lists of `CallTime`.
HOST: Final = 0  # around the requests: the host's own code, its rate limits, its pauses between two tries
CLIENT: Final = 1  # from a request on: the client at work, or waiting for the provider
CALLBACK: Final = 2  # the host's callbacks on the stream


class CallTime:
    """Seconds of one call by what went on (`HOST`, `CLIENT`, `CALLBACK`); all on one thread.

    ``active`` and ``active_cpu`` while the call ran; ``apart`` and ``apart_cpu`` while it was suspended, when
    what the thread spent went into its event loop or into other tasks. After a failure of ours ``lost`` is
    true: the numbers are not whole then.
    """

    __slots__ = ("_at", "_cpu_at", "active", "active_cpu", "apart", "apart_cpu", "lost", "phase")

    def __init__(self) -> None:
        self.active = [0.0, 0.0, 0.0]
        self.active_cpu = [0.0, 0.0, 0.0]
        self.apart = [0.0, 0.0, 0.0]
        self.apart_cpu = [0.0, 0.0, 0.0]
        self.lost = False
        self.phase = HOST
        self._at = _clock()
        self._cpu_at = _cpu()

    def worked(self, phase: int) -> float:
        """The call ran until now, which is returned; what follows is ``phase``."""
        now, cpu = _clock(), _cpu()
        self.active[self.phase] += now - self._at
        self.active_cpu[self.phase] += cpu - self._cpu_at
        self._at, self._cpu_at, self.phase = now, cpu, phase
        return now

    def waited(self) -> None:
        """The call was suspended until now."""
        now, cpu = _clock(), _cpu()
        self.apart[self.phase] += now - self._at
        self.apart_cpu[self.phase] += cpu - self._cpu_at
        self._at, self._cpu_at = now, cpu


@coroutine
def timed(call: Coroutine[Any, Any, Any], spent: CallTime) -> Generator[Any, Any, Any]:
    """What ``call`` returns or raises; ``spent`` is told whenever it is suspended and goes on.

    As ``await call``, written out (PEP 380): what is sent, thrown in and closed arrives as without us.
    """
    given: Any = None
    thrown: BaseException | None = None
    while True:
        try:
            awaited = call.send(given) if thrown is None else call.throw(thrown)
        except StopIteration as end:
            return end.value
        finally:
            given = thrown = None  # an exception that is held here holds this frame
        try:
            spent.worked(spent.phase)
        except Exception as error:
            spent.lost = True
            failed(_SEAM, error)
        try:
            given = yield awaited
        except BaseException as error:
            error.__traceback__ = without_ours(error.__traceback__)
            thrown = error
        try:
            spent.waited()
        except Exception as error:
            spent.lost = True
            failed(_SEAM, error)
        if isinstance(thrown, GeneratorExit):
            call.close()
            try:
                raise thrown
            finally:
                thrown = None
