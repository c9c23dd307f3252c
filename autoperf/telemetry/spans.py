"""A span as a context manager that serves sync and async code and never lets a failure of its own out.

Imports the OpenTelemetry API, so it is itself imported only once telemetry has been started.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from autoperf.errors import class_name, fail_open, guarded
from autoperf.telemetry import context, names
from autoperf.telemetry.attributes import bounded, clean, put

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

NAME_LENGTH: Final = 200
KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
ERROR: Final = Status(StatusCode.ERROR)
# The SDK's spans know their parent's ids only; whether it has ended, its object tells.
_PARENTS: Final[weakref.WeakKeyDictionary[Span, Span]] = weakref.WeakKeyDictionary()


class ActiveSpan:
    """One span, current between enter and exit; a host exception passes and leaves only its class behind.

    Do not keep it open over a ``yield`` of a generator: whoever runs in between would become its child.
    """

    __slots__ = ("_control_flow", "_from_ns", "_make", "_new_trace", "_span", "_start_ns", "_tokens")

    def __init__(
        self,
        make: Make,
        new_trace: bool,
        control_flow: Callable[[BaseException], bool],
        from_ns: int = 0,
        start_ns: int | None = None,
    ) -> None:
        self._make = make
        self._new_trace = new_trace
        self._control_flow = control_flow
        self._from_ns = from_ns
        self._start_ns = start_ns
        self._span: Span | None = None
        self._tokens: context.Tokens | None = None

    def __enter__(self) -> ActiveSpan:
        try:  # not `guarded`: most of these are around each extension, and become no span
            if self._from_ns:
                self._span = _Pending(self._make, self._new_trace, self._from_ns, self._start_ns)
            else:
                self._span = start_span(self._make, new_trace=self._new_trace)
            self._tokens = context.enter(self._span, shared=self._make.source.shared)
        except Exception as failure:
            fail_open("telemetry:span start", failure)
        return self

    def set(self, key: str, value: Any) -> None:
        """Set one attribute; None sets nothing, a value that no attribute can hold leaves its class name.

        With an error type the span has failed, also where the host made an answer of the failure.
        """
        with guarded("telemetry:span attribute"):
            cut_off = getattr(self._span, "end_time", None) is not None
            if self._span is not None and value is not None and not cut_off:
                put(self._span, key, value)
                if key == names.ERROR_TYPE:
                    self._span.set_status(ERROR)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        try:
            if self._tokens is not None:
                context.leave(self._tokens)
            span = self._span
            if type(span) is _Pending:  # not isinstance: the API's spans are abstract, which makes it slow
                span = span.ended(failed=error is not None)
            if span is not None and span.is_recording():  # else it was cut off
                if error is not None:
                    _record_error(span, error, self._control_flow(error))
                span.end()
        except Exception as failure:
            fail_open("telemetry:span end", failure)
        return False


class Source(NamedTuple):
    """Where spans come from; ``limits`` are the SDK's, ``shared`` says that the host made it global."""

    tracer: Tracer
    shared: bool
    limits: Any


Times = tuple[int, int]
Above = trace_api.SpanContext


class Make(NamedTuple):
    """What a span is made of: attributes as the caller gave them, ``kind`` one of those in `names`."""

    source: Source
    name: str
    attributes: Mapping[str, Any] | None
    kind: str = names.INTERNAL


class _Pending(trace_api.NonRecordingSpan):
    """Stands for a span that is only made when something begins below it, or when it took long enough.

    To others it looks like the span above it, so that their spans have a parent that exists; one with a trace
    of its own looks like none.
    """

    _over = False
    _real: Span | None = None
    _set: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, make: Make, new_trace: bool, from_ns: int, start_ns: int | None) -> None:
        # Nothing of the API's own constructor: the context is asked of what is above when somebody wants it.
        self._above = context.current(shared=make.source.shared)
        self._make = make
        self._new_trace = new_trace
        self._start_ns = start_ns or time.time_ns()
        self._from_ns = from_ns
        _PENDING[id(self)] = self

    def get_span_context(self) -> trace_api.SpanContext:
        """Of the span that this looks like."""
        return self.above.get_span_context()

    @property
    def end_time(self) -> int | None:
        """As on the SDK's spans: None while this goes on."""
        return 0 if self._over else None

    @property
    def above(self) -> Span:
        """What was current when this began, or nothing for one with a trace of its own."""
        return trace_api.INVALID_SPAN if self._new_trace else self._above

    @property
    def cause(self) -> trace_api.SpanContext:
        """What a trace that begins here is linked to: this, or while it is no span, what it began in."""
        return _cause(self._above) if self._real is None else self._real.get_span_context()

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep it for the span that may be made."""
        self._set = {**self._set, key: value}
        if self._real is not None and self._real.is_recording():
            put(self._real, key, value)
            if key == names.ERROR_TYPE:
                self._real.set_status(ERROR)

    def made(self) -> Span:
        """The real span, made now if it was not."""
        with _making:  # two threads may begin something below it at once
            if self._real is None:
                make = self._make._replace(attributes={**(self._make.attributes or {}), **self._set})
                self._real = start_span(
                    make, new_trace=self._new_trace, above=self._above, start_ns=self._start_ns
                )
            return self._real

    def ended(self, *, failed: bool) -> Span | None:
        """The real span, to be ended; None when it was too short to be one and nothing was said of it."""
        self._over = True
        _PENDING.pop(id(self), None)
        if self._real is None and not failed and not self.worth():
            return None
        return self.made()

    def worth(self) -> bool:
        """Whether it has taken long enough by now, or something was said of it."""
        return bool(self._set) or time.time_ns() - self._start_ns >= self._from_ns


# Re-entrant: what is above may have to be made first.
_making = threading.RLock()
# Those that have not ended, by their id: at the end of the process some of them are worth a span.
_PENDING: Final[dict[int, _Pending]] = {}


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
    elif isinstance(parent, _Pending):
        parent = parent.made()
    span = make.source.tracer.start_span(
        clean(make.name, NAME_LENGTH),
        context=context_api.Context() if new_trace else context.below(parent, shared=shared),
        kind=KINDS[make.kind],
        attributes=bounded(make.attributes, make.source.limits),
        links=links,
        start_time=start_ns,
        # The SDK would store the exception's text, and that is the user's.
        record_exception=False,
        set_status_on_exception=False,
    )
    if make.attributes and names.ERROR_TYPE in make.attributes:
        span.set_status(ERROR)
    if not new_trace and span.is_recording():
        _PARENTS[span] = parent
    return span


def record(make: Make, start_ns: int, end_ns: int, keep: Callable[[Make, Times, Above], None]) -> None:
    """A span that is over; ``keep`` spares it what the SDK does for one that goes on, below a recorded."""
    if not make.source.shared:
        above = _going_on(context.current(shared=False))
        if isinstance(above, _Pending):
            above = above.made()
        if above.is_recording():
            keep(make, (start_ns, end_ns), above.get_span_context())
            return
    start_span(make, start_ns=start_ns).end(end_ns)


def _going_on(span: Span) -> Span:
    """The nearest that has not ended: ``span``, or what it was begun below."""
    while getattr(span, "end_time", None) is not None:
        span = _above(span)
    return span


def _cause(span: Span) -> trace_api.SpanContext:
    return span.cause if isinstance(span, _Pending) else span.get_span_context()


def _above(span: Span) -> Span:
    """The span that ``span`` was begun below, or the invalid one."""
    return span.above if isinstance(span, _Pending) else _PARENTS.get(span, trace_api.INVALID_SPAN)


def current_trace_id(source: Source) -> str | None:
    """The id of the trace that is going on here, as 32 hex digits."""
    found = context.current(shared=source.shared).get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None


def example(source: Source, *, in_host_meters: bool) -> Context:
    """The context of a measurement: the current span, unless the host's metrics do not know it."""
    if in_host_meters and not source.shared:
        return context_api.Context()
    return context.below(context.current(shared=source.shared), shared=source.shared)


def _record_error(span: Span, error: BaseException, stopped: bool) -> None:
    name = class_name(error)
    # Cancelling, closing and interrupting come from outside: the span was stopped, it did not fail.
    stopped = stopped or isinstance(error, concurrent.futures.CancelledError)
    if isinstance(error, Exception) and not stopped:
        put(span, names.ERROR_TYPE, name)
        span.set_status(ERROR)
    else:
        put(span, names.INTERRUPTED, name)
