"""One call of an extension point: its lookup, its statistics, and spans for what took time in it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from contextvars import Token
from typing import Any, Final

from autoperf.errors import class_name, fail_open, guarded
from autoperf.instrumentation.agentzero.context import Lookup, Probe, is_intervention, restore
from autoperf.instrumentation.agentzero.tracing.background import Origin
from autoperf.memo.counters import Execution
from autoperf.telemetry import names

# Called for every streamed chunk, or implicitly around single functions: counted, a span only when slow.
_FREQUENT: Final = ("stream", "_functions", "tool_output_update")
_SLOW_NS: Final = 1_000_000
# The tasks that extensions of these points create outlive the step.
_BACKGROUND: Final = frozenset(("monologue_start", "monologue_end", "message_loop_end", "process_chain_end"))
_STEP_BEGINS: Final = "message_loop_start"
_STEP_ENDS: Final = "message_loop_end"
# Called once a step, and worth a look even where no extension is there.
EDGES: Final = frozenset((_STEP_BEGINS, _STEP_ENDS))
_POINTS_KEPT: Final = 1000
_clock: Final = time.perf_counter


class _Known:
    """What is the same at every call of one extension point."""

    __slots__ = ("attributes", "background", "edge", "execution", "frequent", "label", "name")

    def __init__(self, name: str, execution: Execution) -> None:
        self.name = name
        self.execution = execution
        self.frequent = any(mark in name for mark in _FREQUENT)
        self.background = name in _BACKGROUND
        self.edge = name in EDGES
        self.label = f"{names.EXTENSIONS} {name}"
        self.attributes = {names.EXTENSION_POINT: name}


class Points:
    """The points of one process by name; beyond 1,000 they are no longer kept."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._known: dict[str, _Known] = {}

    def begin(self, name: Any, classes: list[type] | None = None, *, unsure: bool = False) -> Call:
        """One call of the point ``name``, which has begun.

        ``classes`` are its classes where they are known beforehand. Where they are not, what the loaders find
        on behalf of this call arrives through a context variable; with ``unsure`` they may have been missed.
        """
        found = self._known.get(name)
        if found is None:
            found = _Known(str(name), self._probe.points.of(name))
            if len(self._known) < _POINTS_KEPT:
                self._known[name] = found
        call = Call(self._probe, found, classes, unsure)
        call.begin()
        return call


class Looking:
    """One extension call of which nothing is to be known but whether its look-up had to read a file."""

    __slots__ = ("_lookup", "_probe", "_token")

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._lookup = Lookup()
        self._token = probe.lookup.set(self._lookup)

    def end(self, _error: BaseException | None) -> None:
        """The call is over."""
        restore(self._probe.lookup, self._token)
        self._lookup.over = True
        self._probe.extension_lookups.count(hit=not self._lookup.reads)


class Call:
    """One extension call that may run something; there is one for every streamed chunk."""

    _extension: type | None = None
    _lookup: Lookup | None = None
    _lookup_token: Token[Any] | None = None
    _open: AbstractContextManager[Any] | None = None
    _open_extension: AbstractContextManager[Any] | None = None
    _origin: Origin | None = None
    _origin_token: Token[Any] | None = None
    _least_ns = _least_of_one_ns = 0
    _ran = 0
    _since = 0.0
    _spent: list[tuple[str, float]] | None = None

    def __init__(self, probe: Probe, point: _Known, classes: list[type] | None, unsure: bool) -> None:
        self._probe = probe
        self._point = point
        self._classes = classes
        self._unsure = unsure

    def begin(self) -> None:
        """The host makes the call."""
        probe, point = self._probe, self._point
        probe.arrive()
        if self._classes is None:
            self._lookup = Lookup()
            self._lookup_token = probe.lookup.set(self._lookup)
        if point.edge and point.name == _STEP_BEGINS:
            with guarded("steps"):
                turn = probe.turn.get()
                if turn is not None:
                    turn.begin_step(probe.span)
                    probe.underway.step(turn.work, turn.steps)
        self._point_token = probe.point.set(self)
        if point.background:
            # Also for extensions that do not call the constructor by which we know them.
            self._origin_token = self._sets_going(point.name)
        if not point.frequent and (self._classes is None or self._classes):
            with guarded("extension calls"):
                self._least_ns = probe.threshold(_SLOW_NS)
                opened = probe.span(point.label, point.attributes, from_ns=self._least_ns)
                opened.__enter__()
                self._open = opened
        self._started = _clock()

    def begins(self, extension: type) -> None:
        """An extension of this call has been made and is about to run: what ran until now has ended."""
        known = self._classes if self._lookup is None else self._lookup.classes
        if known and not self._unsure and extension not in known:
            return  # made by one of them, for itself
        now = _clock()
        if self._extension is not None:
            self._extension_ended(now, None)
        self._extension, self._since = extension, now
        self._ran += 1
        if self._point.background:
            self._sets_going(extension.__name__)
        if self._open is not None:
            self._open_one(extension)

    def _open_one(self, extension: type) -> None:
        with guarded("extension calls"):
            label = f"{names.EXTENSION} {extension.__name__}"
            attributes = {**self._point.attributes, names.EXTENSION_CLASS: extension.__name__}
            self._least_of_one_ns = self._probe.threshold(2 * _SLOW_NS)
            opened = self._probe.span(label, attributes, from_ns=self._least_of_one_ns)
            opened.__enter__()
            self._open_extension = opened

    def _sets_going(self, what: str) -> Token[Any]:
        if self._origin is not None:
            self._origin.over = True
        self._origin = Origin(f"{names.BACKGROUND} {what}", self._probe.turn.get(), over=False)
        return self._probe.origin.set(self._origin)

    def _extension_ended(self, now: float, error: BaseException | None) -> None:
        if self._extension is None:
            return
        seconds = now - self._since
        if self._spent is None:
            self._spent = []
        self._spent.append((self._extension.__name__, seconds))
        opened, self._open_extension = self._open_extension, None
        if opened is not None:
            opened.__exit__(type(error) if error else None, error, None)
            if seconds * 1e9 >= self._least_of_one_ns:
                self._spend("", seconds, self._least_of_one_ns)
        self._extension = None

    def end(self, error: BaseException | None) -> None:
        """The call has returned, or raised ``error``."""
        now = _clock()
        seconds = now - self._started
        probe, point, lookup = self._probe, self._point, self._lookup
        if lookup is not None and self._lookup_token is not None:
            restore(probe.lookup, self._lookup_token)
        try:
            if self._extension is not None:
                self._extension_ended(now, error)
            if self._open is not None:
                self._open.__exit__(None if error is None else type(error), error, None)
                self._spend(point.label, seconds, self._least_ns)
            self._count(seconds, error)
            self._open = None
            if lookup is not None:
                lookup.over = True
            if self._spent is not None:
                stream = probe.stream.get()
                if stream is not None:
                    stream.note(point.name, self._spent)
        except Exception as ours:
            fail_open("extension calls", ours)
        if self._origin is not None and self._origin_token is not None:
            self._origin.over = True
            restore(probe.origin, self._origin_token)
        restore(probe.point, self._point_token)
        if point.edge and point.name == _STEP_ENDS:
            with guarded("steps"):
                turn = probe.turn.get()
                if turn is not None:
                    turn.end_step()

    def _count(self, seconds: float, error: BaseException | None) -> None:
        lookup, execution = self._lookup, self._point.execution
        lookups = self._probe.extension_lookups
        if lookup is None or not lookup.reads:
            lookups.hits += 1
        else:
            lookups.misses += 1
        failed = error is not None and isinstance(error, Exception) and not is_intervention(error)
        execution.errors += failed
        # Without an answer from the host's cache, nor a loader at work, something may still have run.
        found = self._ran or (self._classes if lookup is None else lookup.classes)
        if failed or found or self._unsure:
            execution.series.add(seconds)
            if self._point.frequent and (failed or seconds * 1e9 >= _SLOW_NS):
                self._record(int(seconds * 1e9), error if failed else None)

    def _record(self, length_ns: int, error: BaseException | None) -> None:
        probe, label = self._probe, self._point.label
        turn = probe.turn.get()
        if turn is None:
            if error is None:
                return  # it would be a trace of one span
        # Of short failures a step has only its share: this may be called for every chunk.
        elif length_ns < turn.least_ns() and (error is None or not turn.spend()):
            turn.add_up(label, length_ns)
            return
        attributes = self._point.attributes
        if error is not None:
            attributes = {**attributes, names.ERROR_TYPE: class_name(error)}
        now = time.time_ns()
        probe.record(label, now - length_ns, now, attributes)

    def _spend(self, label: str, seconds: float, least_ns: int) -> None:
        turn = self._probe.turn.get()
        if turn is None or self._probe.detail == "all":
            return
        if seconds * 1e9 >= least_ns:
            turn.spend()
        elif self._ran:
            turn.add_up(label, int(seconds * 1e9))
