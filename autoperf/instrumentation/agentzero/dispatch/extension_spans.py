"""One call of an extension point: its lookup, its statistics, and spans for what took time in it."""

from __future__ import annotations

import time
from contextvars import Token
from typing import Any, Final

from autoperf.errors import fail_open, guarded
from autoperf.instrumentation.agentzero.context import (
    NEVER_NS,
    SHORT_NS,
    Probe,
    Turn,
    is_intervention,
    restore,
)
from autoperf.instrumentation.agentzero.dispatch.frequent_call import FrequentCall
from autoperf.instrumentation.agentzero.tracing.background import Origin
from autoperf.memo.counters import Execution
from autoperf.telemetry import names

# Called for every streamed chunk, or implicitly around single functions: counted, a span only when slow.
_FREQUENT: Final = ("stream", "_functions", "tool_output_update")
# What usually has a span: of a call, of one extension in it.
_CALL_NS: Final = SHORT_NS
_EXTENSION_NS: Final = 2 * SHORT_NS
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

    __slots__ = (
        "background", "begins_step", "ends_step", "execution", "frequent", "name", "span",
    )  # fmt: skip

    def __init__(self, name: str, execution: Execution) -> None:
        self.name = name
        self.execution = execution
        self.frequent = any(mark in name for mark in _FREQUENT)
        self.background = name in _BACKGROUND
        self.begins_step = name == _STEP_BEGINS
        self.ends_step = name == _STEP_ENDS
        self.span = f"{names.EXTENSIONS} {name}", {names.EXTENSION_POINT: name}


class Points:
    """The points of one process by name; beyond 1,000 they are no longer kept."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._known: dict[str, _Known] = {}

    def begin(
        self, name: Any, classes: list[type] | None = None, *, unsure: bool = False
    ) -> Call | FrequentCall:
        """One call of the point ``name``, which has begun.

        ``classes`` are its classes where they are known beforehand. Where they are not, what the loaders find
        on behalf of this call arrives through a context variable; with ``unsure`` they may have been missed.
        """
        found = self._known.get(name)
        if found is None:
            found = _Known(str(name), self._probe.points.of(name))
            if len(self._known) < _POINTS_KEPT:
                self._known[name] = found
        if found.frequent:
            return FrequentCall(self._probe, found.name, found.span, found.execution, classes, unsure)
        return Call(self._probe, found, classes, unsure)


class Looking:
    """One extension call of which nothing is to be known but whether its look-up had to read a file."""

    __slots__ = ("__weakref__", "_over", "_probe", "_reads", "_token")

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._over = False
        self._reads = 0
        self._token = probe.point.set(self)

    def begins(self, extension: type) -> bool:  # noqa: ARG002 - see `Point`
        """Nobody asks for its extensions."""
        return True

    def found(self, classes: list[type], reads: int = 0) -> None:  # noqa: ARG002 - see `Point`
        """A loader has read ``reads`` files on behalf of this call."""
        if not self._over:
            self._reads += reads

    def end(self, _error: BaseException | None) -> None:
        """The call is over."""
        restore(self._probe.point, self._token)
        self._over = True
        self._probe.extension_lookups.count(hit=not self._reads)


class Call:
    """One extension call that may run something.

    Tasks that an extension leaves behind may see it: once it is over it takes nothing any more.
    """

    _extension: type | None = None
    _open: Any = None
    _open_extension: Any = None
    _origin: Origin | None = None
    _origin_token: Token[Any] | None = None
    _over = False
    _reads = 0
    _since = 0.0
    _turn: Turn | None = None

    def __init__(self, probe: Probe, point: _Known, classes: list[type] | None, unsure: bool) -> None:
        self._probe, self._point, self._unsure = probe, point, unsure
        self._looks_up = classes is None
        self._classes = classes or []
        probe.arrive()
        if point.begins_step:
            self._begin_step()
        self._token = probe.point.set(self)
        self._begun: list[tuple[type, float]] = []
        self._turn = probe.turn.get()
        if point.background:
            # Also for extensions that do not call the constructor by which we know them.
            self._origin_token = self._sets_going(point.name)
        if self._looks_up or classes:
            self._open = self._opened(*point.span, _CALL_NS)
        self._started = _clock()

    def _begin_step(self) -> None:
        with guarded("steps"):
            probe = self._probe
            turn = probe.turn.get()
            if turn is not None:
                turn.begin_step(probe.span)
                probe.underway.step(turn.work, turn.steps)

    def _opened(self, label: str, attributes: dict[str, Any], usual_ns: int) -> Any:
        probe = self._probe
        try:
            if probe.detail == "step" and probe.tracing is not None:
                # Past `Probe.span`: what may have begun beside the turn has arrived as this call began.
                least_ns = NEVER_NS if self._turn is None else usual_ns
                return probe.tracing.pending(label, attributes, least_ns)
            if probe.detail == "all":
                opened = probe.span(label, attributes)
                opened.__enter__()
                return opened
        except Exception as ours:
            fail_open("extension calls", ours)
        return None

    def found(self, classes: list[type], reads: int = 0) -> None:
        """A loader has found ``classes`` on behalf of this call, and read ``reads`` files."""
        if self._looks_up and not self._over:
            self._classes = self._classes + classes
            self._reads += reads

    def begins(self, extension: type) -> bool:
        """An extension of this call has been made and is about to run: what ran until now has ended."""
        known = self._classes
        if known and not self._unsure and extension not in known:
            return False  # made by one of them, for itself
        now = _clock()
        if self._extension is not None:
            self._extension_ended(now, None)
        self._extension, self._since = extension, now
        if not self._over:
            self._begun.append((extension, now))
        point = self._point
        if point.background:
            self._sets_going(extension.__name__)
        if self._open is not None:
            label = f"{names.EXTENSION} {extension.__name__}"
            attributes = {names.EXTENSION_POINT: point.name, names.EXTENSION_CLASS: extension.__name__}
            self._open_extension = self._opened(label, attributes, _EXTENSION_NS)
        return True

    def _sets_going(self, what: str) -> Token[Any]:
        if self._origin is not None:
            self._origin.over = True
        self._origin = Origin(f"{names.BACKGROUND} {what}", self._probe.turn.get(), over=False)
        return self._probe.origin.set(self._origin)

    def _extension_ended(self, now: float, error: BaseException | None) -> None:
        extension, seconds = self._extension, now - self._since
        self._extension = None
        opened, self._open_extension = self._open_extension, None
        if opened is not None and extension is not None:
            self._close(opened, seconds, _EXTENSION_NS, error, f"{names.EXTENSION} {extension.__name__}")

    def _close(
        self, opened: Any, seconds: float, usual_ns: int, error: BaseException | None, label: str
    ) -> None:
        """End the span of what took ``seconds``, or where it is none add them up under ``label`` if given."""
        turn, long = self._turn, False
        if turn is not None and seconds * 1e9 >= SHORT_NS and self._probe.detail != "all":
            long = seconds * 1e9 >= turn.threshold(usual_ns)
            if long:
                turn.spend()
        # With a span below it, it has become one.
        if not opened.over(error, long=long) and label and turn is not None:
            turn.add_up(label, int(seconds * 1e9))

    def end(self, error: BaseException | None) -> None:
        """The call has returned, or raised ``error``."""
        now = _clock()
        probe, point = self._probe, self._point
        seconds = now - self._started
        restore(probe.point, self._token)
        self._over = True
        try:
            if self._extension is not None:
                self._extension_ended(now, error)
            if self._open is not None:
                self._end_span(seconds, error)
            self._count(seconds, error)
            stream = probe.stream.get() if self._begun else None
            if stream is not None:
                stream.note(point.name, self._begun, now)
        except Exception as ours:
            fail_open("extension calls", ours)
        if self._origin is not None and self._origin_token is not None:
            self._origin.over = True
            restore(probe.origin, self._origin_token)
        if point.ends_step:
            with guarded("steps"):
                turn = probe.turn.get()
                if turn is not None:
                    turn.end_step()

    def _end_span(self, seconds: float, error: BaseException | None) -> None:
        opened, self._open = self._open, None
        self._close(opened, seconds, _CALL_NS, error, self._point.span[0] if self._begun else "")

    def _count(self, seconds: float, error: BaseException | None) -> None:
        execution, lookups = self._point.execution, self._probe.extension_lookups
        if self._reads:
            lookups.misses += 1
        else:
            lookups.hits += 1
        failed = isinstance(error, Exception) and not is_intervention(error)
        # Without an answer from the host's cache, nor a loader at work, something may still have run.
        if failed or self._begun or self._classes or self._unsure:
            execution.errors += failed
            execution.series.add(seconds)
