"""One call of an extension point that is called for every chunk: counted and timed, a span only when long."""

from __future__ import annotations

import time
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import class_name, fail_open
from autoperf.instrumentation.agentzero.context import SHORT_NS, Probe, Stream, is_intervention, restore
from autoperf.memo.counters import Execution
from autoperf.telemetry import names

if TYPE_CHECKING:
    from collections.abc import Mapping

_clock: Final = time.perf_counter


class FrequentCall:
    """Notes when each extension began; all else is worked out at the end, in one go.

    ``label`` and ``attributes`` are those of its span, ``execution`` holds the statistics of the point.
    Tasks that an extension leaves behind may see it: once it is over it takes nothing any more. Where its
    classes are known and chunks of a stream come in, it is the stream's ``current`` call: setting a context
    variable for each chunk costs as much as half the rest.
    """

    __slots__ = (
        "__weakref__", "_attributes", "_begun", "_classes", "_execution", "_label", "_looks_up", "_name",
        "_over", "_probe", "_reads", "_started", "_stream", "_token", "_unsure", "outer",
    )  # fmt: skip

    def __init__(
        self,
        probe: Probe,
        name: str,
        span: tuple[str, Mapping[str, Any]],
        execution: Execution,
        classes: list[type] | None,
        unsure: bool,
    ) -> None:
        self._probe, self._name, self._execution, self._unsure = probe, name, execution, unsure
        self._label, self._attributes = span
        self._looks_up = classes is None
        self._classes = classes or []
        self._begun: list[tuple[type, float]] = []
        self._reads = 0
        self._over = False
        probe.arrive()
        stream = None if unsure or not self._classes else probe.stream.get()
        self._stream: Stream | None = None
        self._token: Token[Any] | None = None
        self.outer = probe.point.reference()  # what was said to go on where this began
        if stream is not None and stream.current is None:
            self._stream = stream
            stream.current = self
        else:
            self._token = probe.point.set(self)
        self._started = _clock()

    def found(self, classes: list[type], reads: int = 0) -> None:
        """A loader has found ``classes`` on behalf of this call, and read ``reads`` files."""
        if self._looks_up and not self._over:
            self._classes = self._classes + classes
            self._reads += reads

    def begins(self, extension: type) -> bool:
        """An extension has been made and is about to run; False where another made it for itself."""
        known = self._classes
        if self._over or not (extension in known or self._unsure or not known):
            return False
        self._begun.append((extension, _clock()))
        return True

    def end(self, error: BaseException | None) -> None:
        """The call has returned, or raised ``error``."""
        now = _clock()
        probe, begun = self._probe, self._begun
        self._over = True
        stream = self._stream
        if stream is not None:
            stream.current = None
        elif self._token is not None:
            restore(probe.point, self._token)
            stream = probe.stream.get() if begun else None
        try:
            if self._reads:
                probe.extension_lookups.misses += 1
            else:
                probe.extension_lookups.hits += 1
            failed = isinstance(error, Exception) and not is_intervention(error)
            # Without an answer from the host's cache, nor a loader at work, something may still have run.
            if failed or begun or self._classes or self._unsure:
                seconds = now - self._started
                self._execution.errors += failed
                self._execution.series.add(seconds)
                if failed or begun:
                    self._record(int(seconds * 1e9), error if failed else None)
            if begun and stream is not None:
                stream.note(self._name, begun, now)
        except Exception as ours:
            fail_open("extension calls", ours)

    def _record(self, length_ns: int, error: BaseException | None) -> None:
        probe, label = self._probe, self._label
        turn = probe.turn.get()
        if turn is None:
            if error is None:
                return  # it would be a trace of one span
        # Of short failures a step has only its share: this may be called for every chunk.
        elif (error is None or not turn.spend()) and (length_ns < SHORT_NS or length_ns < turn.least_ns()):
            turn.add_up(label, length_ns)
            return
        attributes = dict(self._attributes)
        if error is not None:
            attributes[names.ERROR_TYPE] = class_name(error)
        now = time.time_ns()
        probe.record(label, now - length_ns, now, attributes)
