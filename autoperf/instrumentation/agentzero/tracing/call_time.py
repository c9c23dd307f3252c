"""Where the time of one awaited call of the host goes: at work or suspended, by clock and by CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors.around import Around
from autoperf.errors.frames import without_ours
from autoperf.errors.switch import Switch, failed

if TYPE_CHECKING:
    from autoperf.instrumentation.agentzero.context import Probe, Stream

_SEAM: Final = "model streams"
_clock: Final = time.perf_counter
# Of this thread; without it, as on some systems, there are no CPU times.
_cpu: Final = getattr(time, "thread_time", lambda: 0.0)
_UNREAD_S: Final = 0.001

# What goes on in a call: each has its place in the lists of `CallTime`.
HOST: Final = 0  # around the requests: the host's own code, its rate limits, its pauses between two tries
CLIENT: Final = 1  # from a request on: the client at work, or waiting for the provider
CALLBACK: Final = 2  # the host's callbacks on the stream


class CallTime:
    """Seconds of one call by what went on (`HOST`, `CLIENT`, `CALLBACK`); all on one thread.

    ``active`` and ``active_cpu`` while the call ran; ``apart`` and ``apart_cpu`` while it was suspended, when
    what the thread spent went into its event loop or into other tasks. After a failure of ours ``lost`` is
    true: the numbers are not whole then. The CPU clock is a system call: moments of less than 1 ms share a
    reading, which goes to those at work in proportion to their time, and what is more than that to the rest.
    """

    __slots__ = (
        "_at", "_cpu_at", "_read_at", "_unread", "active", "active_cpu", "apart", "apart_cpu", "lost", "phase"
    )  # fmt: skip

    def __init__(self) -> None:
        self.active = [0.0, 0.0, 0.0]
        self.active_cpu = [0.0, 0.0, 0.0]
        self.apart = [0.0, 0.0, 0.0]
        self.apart_cpu = [0.0, 0.0, 0.0]
        self.lost = False
        self.phase = HOST
        self._unread = [0.0, 0.0, 0.0]  # of `active`, since the CPU clock was read
        self._at = self._read_at = _clock()
        self._cpu_at = _cpu()

    def worked(self, phase: int) -> float:
        """The call ran until now, which is returned; what follows is ``phase``."""
        now = _clock()
        spent = now - self._at
        self.active[self.phase] += spent
        self._unread[self.phase] += spent
        if now - self._read_at >= _UNREAD_S:
            self._read(now)
        self._at, self.phase = now, phase
        return now

    def waited(self) -> None:
        """The call was suspended until now."""
        now = _clock()
        self.apart[self.phase] += now - self._at
        if now - self._read_at >= _UNREAD_S:
            self._read(now)
        self._at = now

    def ended(self) -> None:
        """The call ran until now, and no longer."""
        self._read(self.worked(self.phase))

    def _read(self, now: float) -> None:
        cpu, unread = _cpu(), self._unread
        spent, worked = cpu - self._cpu_at, sum(unread)
        if worked > 0:
            share = min(1.0, spent / worked)
            for phase, seconds in enumerate(unread):
                self.active_cpu[phase] += seconds * share
            self._unread = [0.0, 0.0, 0.0]
        self.apart_cpu[self.phase] += max(0.0, spent - worked)
        self._cpu_at, self._read_at = cpu, now


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


class _Below:
    """One call of a host function; ``end`` counts it in where it was made by a callback of ``stream``."""

    __slots__ = ("_name", "_since", "_stream")

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream, self._name, self._since = stream, name, _clock()

    def end(self, _error: BaseException | None) -> None:
        """It has returned or raised."""
        self._stream.below(self._name, _clock() - self._since)


def below(probe: Probe) -> Callable[[Callable[..., Any], Switch], Around]:
    """For a function that a callback calls for each chunk, so that what takes long in there has a name."""

    def build(original: Callable[..., Any], _switch: Switch) -> Around:
        name, current, point = original.__qualname__, probe.stream.reference, probe.point.reference

        def begin(*_args: Any, **_kwargs: Any) -> _Below | None:
            stream = current()()
            return (
                None
                if stream is None or not stream.calls() or point()() is not None
                else _Below(stream, name)
            )

        return Around(begin)

    return build
