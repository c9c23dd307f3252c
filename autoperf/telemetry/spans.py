"""A span as a context manager that serves sync and async code and never lets a failure of its own out.

Imports the OpenTelemetry API, so it is itself imported only once telemetry has been started.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import contextvars
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from autoperf.errors import class_name, guarded
from autoperf.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_NAME_LENGTH: Final = 200
_TEXT_LENGTH: Final = 1000
_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_ERROR: Final = Status(StatusCode.ERROR)
# The SDK's spans know their parent's ids only; whether it has ended, its object tells.
_PARENTS: Final[weakref.WeakKeyDictionary[Span, Span]] = weakref.WeakKeyDictionary()


class ActiveSpan:
    """One span, current between enter and exit; a host exception passes and leaves only its class behind.

    Do not keep it open over a ``yield`` of a generator: whoever runs in between would become its child.
    """

    __slots__ = ("_control_flow", "_from_ns", "_make", "_new_trace", "_span", "_token")

    def __init__(
        self,
        make: Make,
        new_trace: bool,
        control_flow: Callable[[BaseException], bool],
        from_ns: int = 0,
    ) -> None:
        self._make = make
        self._new_trace = new_trace
        self._control_flow = control_flow
        self._from_ns = from_ns
        self._span: Span | None = None
        self._token: Any = None

    def __enter__(self) -> ActiveSpan:
        with guarded("telemetry:span start"):
            if self._from_ns:
                self._span = _Pending(self._make, self._new_trace, self._from_ns)
            else:
                self._span = start_span(self._make, new_trace=self._new_trace)
            self._token = context_api.attach(trace_api.set_span_in_context(self._span))
        return self

    def set(self, key: str, value: Any) -> None:
        """Set one attribute; None sets nothing, a value that no attribute can hold leaves its class name.

        With an error type the span has failed, also where the host made an answer of the failure.
        """
        with guarded("telemetry:span attribute"):
            cut_off = getattr(self._span, "end_time", None) is not None
            if self._span is not None and value is not None and not cut_off:
                self._span.set_attribute(key, _attribute(key, value))
                if key == names.ERROR_TYPE:
                    self._span.set_status(_ERROR)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        with guarded("telemetry:span end"):
            if self._token is not None:
                _detach(self._token)
            span = self._span
            if isinstance(span, _Pending):
                span = span.ended(failed=error is not None)
            if span is not None and span.is_recording():  # else it was cut off
                if error is not None:
                    _record_error(span, error, self._control_flow(error))
                span.end()
        return False


class Make(NamedTuple):
    """What a span is made of: attributes as the caller gave them, ``kind`` one of those in `names`."""

    tracer: Tracer
    name: str
    attributes: Mapping[str, Any] | None
    kind: str = names.INTERNAL


class _Pending(trace_api.NonRecordingSpan):
    """Stands for a span that is only made when something begins below it, or when it took long enough.

    To others it looks like the span above it, so that their spans have a parent that exists; one with a trace
    of its own looks like none.
    """

    def __init__(self, make: Make, new_trace: bool, from_ns: int) -> None:
        self._above = trace_api.get_current_span()
        seen = trace_api.INVALID_SPAN if new_trace else self._above
        super().__init__(seen.get_span_context())
        self._make = make
        self._new_trace = new_trace
        self._start_ns = time.time_ns()
        self._set: dict[str, Any] = {}
        self._real: Span | None = None
        self._over = False
        self._from_ns = from_ns
        self._lock = threading.Lock()
        _PENDING[id(self)] = self

    @property
    def end_time(self) -> int | None:
        """As on the SDK's spans: None while this goes on."""
        return 0 if self._over else None

    @property
    def above(self) -> Span:
        """What was current when this began."""
        return self._above

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep it for the span that may be made."""
        self._set[key] = value
        if self._real is not None and self._real.is_recording():
            self._real.set_attribute(key, value)
            if key == names.ERROR_TYPE:
                self._real.set_status(_ERROR)

    def made(self) -> Span:
        """The real span, made now if it was not."""
        with self._lock:  # two threads may begin something below it at once
            if self._real is None:
                make = self._make._replace(attributes={**(self._make.attributes or {}), **self._set})
                self._real = start_span(
                    make, new_trace=self._new_trace, above=self._above, start_ns=self._start_ns
                )
                if names.ERROR_TYPE in self._set:
                    self._real.set_status(_ERROR)
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
    _PENDING.clear()


def start_span(
    make: Make, *, new_trace: bool = False, above: Span | None = None, start_ns: int | None = None
) -> Span:
    """Start a span below the current one; with ``new_trace`` as the root of its own trace, linked to it.

    Work that goes on in the background carries the context of the turn that began it: its spans hang below
    the nearest one that still goes on, and where all have ended they begin traces of their own. Nothing
    hangs below what has ended.
    """
    current = trace_api.get_current_span() if above is None else above
    parent = current
    while getattr(parent, "end_time", None) is not None:
        parent = _above(parent)
    new_trace = new_trace or (parent is not current and not parent.get_span_context().is_valid)
    links = []
    if new_trace:
        cause = current.get_span_context()
        links = [Link(cause)] if cause.is_valid else []
    elif isinstance(parent, _Pending):
        parent = parent.made()
    span = make.tracer.start_span(
        clean(make.name, _NAME_LENGTH),
        context=context_api.Context() if new_trace else trace_api.set_span_in_context(parent),
        kind=_KINDS[make.kind],
        attributes={
            key: _attribute(key, value) for key, value in (make.attributes or {}).items() if value is not None
        },
        links=links,
        start_time=start_ns,
        # The SDK would store the exception's text, and that is the user's.
        record_exception=False,
        set_status_on_exception=False,
    )
    if not new_trace and span.is_recording():
        _PARENTS[span] = parent
    return span


def _above(span: Span) -> Span:
    """The span that ``span`` was begun below, or the invalid one."""
    return span.above if isinstance(span, _Pending) else _PARENTS.get(span, trace_api.INVALID_SPAN)


def current_trace_id() -> str | None:
    """The id of the trace that is going on here, as 32 hex digits."""
    context = trace_api.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def _attribute(key: str, value: Any) -> Any:
    return clean(value, len(value)) if key in names.CONTENT and type(value) is str else plain(value)


def plain(value: Any) -> Any:
    """``value`` as an attribute that every exporter can encode; one bad value costs the whole batch there."""
    kind = type(value)
    if kind is str:
        return clean(value, _TEXT_LENGTH)
    if kind is bool or kind is float:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else "int"
    if kind in (list, tuple, set, frozenset):
        return [clean(str(plain(item)), _TEXT_LENGTH) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    # Not str(value): that may run host code, and nobody knows what it would reveal.
    return kind.__name__


def clean(text: str, length: int) -> str:
    """``text`` cut at ``length`` characters, lone surrogates (no UTF-8, no protobuf) replaced."""
    if len(text) > length:
        text = text[: length - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _record_error(span: Span, error: BaseException, stopped: bool) -> None:
    name = class_name(error)
    # Cancelling, closing and interrupting come from outside: the span was stopped, it did not fail.
    stopped = stopped or isinstance(error, concurrent.futures.CancelledError)
    if isinstance(error, Exception) and not stopped:
        span.set_attribute(names.ERROR_TYPE, name)
        span.set_status(_ERROR)
    else:
        span.set_attribute(names.INTERRUPTED, name)


def _detach(token: Any) -> None:
    if not isinstance(token, contextvars.Token):
        context_api.detach(token)
        return
    # Left in another context than it was entered in (a generator closed elsewhere): that context is gone or
    # not ours to change. The API's own detach() would log a traceback here.
    with contextlib.suppress(ValueError, RuntimeError):
        token.var.reset(token)
