"""A span as a context manager that serves sync and async code and never lets a failure of its own out.

Imports the OpenTelemetry API, so it is itself imported only once telemetry has been started.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from autoperf.errors import class_name, fail_open, guarded
from autoperf.telemetry import context, names
from autoperf.telemetry.attributes import bounded, clean, put
from autoperf.telemetry.recording import RecordingSpan

if TYPE_CHECKING:
    from opentelemetry.trace import Span

NAME_LENGTH: Final = 200
KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
ERROR: Final = Status(StatusCode.ERROR)
# The SDK's spans know their parent's ids only; whether it has ended, its object tells.
_PARENTS: Final[weakref.WeakKeyDictionary[Span, Span]] = weakref.WeakKeyDictionary()


class ActiveSpan:
    """One span, current between enter and exit; a host exception passes and leaves only its class behind.

    Do not keep it open over a ``yield`` of a generator: whoever runs in between would become its child.
    """

    __slots__ = ("_control_flow", "_make", "_new_trace", "_span", "_tokens")

    def __init__(self, make: Make, new_trace: bool, control_flow: Callable[[BaseException], bool]) -> None:
        self._make = make
        self._new_trace = new_trace
        self._control_flow = control_flow
        self._span: Span | None = None
        self._tokens: context.Tokens | None = None

    def __enter__(self) -> ActiveSpan:
        with guarded("telemetry:span start"):
            self._span = start_span(self._make, new_trace=self._new_trace)
            self._tokens = context.enter(self._span, shared=self._make.source.shared)
        return self

    def set(self, key: str, value: Any) -> None:
        """Set one attribute; None sets nothing, a value that no attribute can hold leaves its class name.

        With an error type the span has failed, also where the host made an answer of the failure.
        """
        try:  # not `guarded`: a model call is told a dozen
            if value is not None and self._span is not None:
                _set(self._span, key, value)
        except Exception as failure:
            fail_open("telemetry:span attribute", failure)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> Literal[False]:
        with guarded("telemetry:span end"):
            if self._tokens is not None:
                context.leave(self._tokens)
            if self._span is not None:
                _end(self._span, error, self._control_flow)
        return False

    def over(self, error: BaseException | None, *, long: bool) -> bool:  # noqa: ARG002 - as of `Pending`
        """As `__exit__`."""
        self.__exit__(None if error is None else type(error), error, None)
        return True


def _set(span: Span, key: str, value: Any) -> None:
    """Set one attribute, unless ``span`` was cut off."""
    if getattr(span, "end_time", None) is None:
        put(span, key, value)
        if key == names.ERROR_TYPE:
            span.set_status(ERROR)


def _end(span: Span, error: BaseException | None, control_flow: Callable[[BaseException], bool]) -> None:
    """End ``span``, unless it was cut off."""
    if span.is_recording():
        if error is not None:
            _record_error(span, error, control_flow(error))
        span.end()


class Source(NamedTuple):
    """Where spans come from; ``limits`` are the SDK's, ``shared`` says that the host made it global.

    ``begin(name, above, kind, attributes, links, start_ns)`` is a span below ``above``, in a trace of its own
    where that is None.
    """

    begin: Callable[..., Span]
    shared: bool
    limits: Any


class Make(NamedTuple):
    """What a span is made of: attributes as the caller gave them, ``kind`` one of those in `names`."""

    source: Source
    name: str
    attributes: Mapping[str, Any] | None
    kind: str = names.INTERNAL


class Pending(context.SpanProxy):
    """Stands for a span that is only made when something begins below it, or when it took long enough.

    Current between enter and exit, as `ActiveSpan`. To others it looks like the span above it, so that their
    spans have a parent that exists; one with a trace of its own looks like none. ``least_ns`` is what it has
    to take.
    """

    _over = False
    _real: Span | None = None
    _told: Mapping[str, Any] = MappingProxyType({})
    _tokens: context.Tokens | None = None

    def __init__(
        self,
        make: Make,
        control_flow: Callable[[BaseException], bool],
        least_ns: int,
        start_ns: int | None = None,
        new_trace: bool = False,
    ) -> None:
        # Nothing of the API's own constructor: the context is asked of what is above when somebody wants it.
        self._above = context.current(shared=make.source.shared)
        self._make = make
        self._new_trace = new_trace
        self._control_flow = control_flow
        self._start_ns = start_ns or time.time_ns()
        self._least_ns = least_ns

    def __enter__(self) -> Pending:
        try:  # not `guarded`: most of these are around each extension, and become no span
            _PENDING[id(self)] = self
            self._tokens = context.enter(self, shared=self._make.source.shared)
        except Exception as failure:
            fail_open("telemetry:span start", failure)
        return self

    def set(self, key: str, value: Any) -> None:
        """As of `ActiveSpan`; what is told of it makes it a span."""
        with guarded("telemetry:span attribute"):
            if value is not None and not self._over:
                self._told = {**self._told, key: value}
                if self._real is not None:
                    _set(self._real, key, value)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.over(error, long=self.worth())

    def over(self, error: BaseException | None, *, long: bool) -> bool:
        """As `__exit__`, where the caller knows whether it took ``long`` enough; whether it became a span."""
        try:
            if self._tokens is not None:
                context.leave(self._tokens)
            self._over = True
            _PENDING.pop(id(self), None)
            if long or self._real is not None or error is not None or self._told:
                _end(self.made(), error, self._control_flow)
                return True
        except Exception as failure:
            fail_open("telemetry:span end", failure)
        return False

    @property
    def end_time(self) -> int | None:
        """As on the SDK's spans: None while this goes on."""
        return 0 if self._over else None

    @property
    def is_made(self) -> bool:
        """Whether it has become a span."""
        return self._real is not None

    @property
    def above(self) -> Span:
        """What was current when this began, or nothing for one with a trace of its own."""
        return trace_api.INVALID_SPAN if self._new_trace else self._above

    @property
    def cause(self) -> trace_api.SpanContext:
        """What a trace that begins here is linked to: this, or while it is no span, what it began in."""
        return _cause(self._above) if self._real is None else self._real.get_span_context()

    def made(self) -> Span:
        """The real span, made now if it was not."""
        with _making:  # two threads may begin something below it at once
            if self._real is None:
                make = self._make._replace(attributes={**(self._make.attributes or {}), **self._told})
                self._real = start_span(
                    make, new_trace=self._new_trace, above=self._above, start_ns=self._start_ns
                )
            return self._real

    def worth(self) -> bool:
        """Whether it has taken long enough by now, or something was said of it."""
        return bool(self._told) or time.time_ns() - self._start_ns >= self._least_ns


# Re-entrant: what is above may have to be made first.
_making = threading.RLock()
# Those that have not ended, by their id: at the end of the process some of them are worth a span.
_PENDING: Final[dict[int, Pending]] = {}


def make_pending() -> None:
    """Make those spans that stand for work which is going on and is worth it."""
    for pending in list(_PENDING.values()):
        with guarded("telemetry:pending"):
            if pending.worth():
                pending.made()
    forget_pending()


def forget_pending() -> None:
    """Leave them, as in a forked child, to others."""
    global _making
    _making = threading.RLock()  # another thread may have held it when this child was made
    _PENDING.clear()


def start_span(
    make: Make, *, new_trace: bool = False, above: Span | None = None, start_ns: int | None = None
) -> Span:
    """Start a span below the current one; with ``new_trace`` as the root of its own trace, linked to it.

    Work that goes on in the background carries the context of the turn that began it: its spans hang below
    the nearest one that still goes on, and where all have ended they begin traces of their own. Nothing
    hangs below what has ended.
    """
    shared = make.source.shared
    current = context.current(shared=shared) if above is None else above
    parent = _going_on(current)
    new_trace = new_trace or (parent is not current and not parent.get_span_context().is_valid)
    links = []
    if new_trace:
        cause = _cause(current)
        links = [Link(cause)] if cause.is_valid else []
    elif isinstance(parent, Pending):
        parent = parent.made()
    span = make.source.begin(
        clean(make.name, NAME_LENGTH),
        None if new_trace else parent,
        KINDS[make.kind],
        bounded(make.attributes, make.source.limits),
        links,
        start_ns,
    )
    if make.attributes and names.ERROR_TYPE in make.attributes:
        span.set_status(ERROR)
    if not new_trace and span.is_recording() and type(span) is not RecordingSpan:
        _PARENTS[span] = parent
    return span


def _going_on(span: Span) -> Span:
    """The nearest that has not ended: ``span``, or what it was begun below."""
    while getattr(span, "end_time", None) is not None:
        span = _above(span)
    return span


def _cause(span: Span) -> trace_api.SpanContext:
    return span.cause if isinstance(span, Pending) else span.get_span_context()


def _above(span: Span) -> Span:
    """The span that ``span`` was begun below, or the invalid one."""
    if isinstance(span, (Pending, RecordingSpan)):
        return span.above or trace_api.INVALID_SPAN
    return _PARENTS.get(span, trace_api.INVALID_SPAN)


def _record_error(span: Span, error: BaseException, stopped: bool) -> None:
    name = class_name(error)
    # Cancelling, closing and interrupting come from outside: the span was stopped, it did not fail.
    stopped = stopped or isinstance(error, concurrent.futures.CancelledError)
    if isinstance(error, Exception) and not stopped:
        put(span, names.ERROR_TYPE, name)
        span.set_status(ERROR)
    else:
        put(span, names.INTERRUPTED, name)
