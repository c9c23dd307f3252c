"""A span as a context manager that serves sync and async code and never lets a failure of its own out.

Imports the OpenTelemetry API, so it is itself imported only once telemetry has been started.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import contextvars
from collections.abc import Callable, Mapping
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from autoperf.errors import guarded
from autoperf.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_NAME_LENGTH: Final = 200
_TEXT_LENGTH: Final = 1000
_KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_ERROR: Final = Status(StatusCode.ERROR)


class ActiveSpan:
    """One span, current between enter and exit; a host exception passes and leaves only its class behind.

    Do not keep it open over a ``yield`` of a generator: whoever runs in between would become its child.
    """

    __slots__ = ("_attributes", "_control_flow", "_kind", "_name", "_new_trace", "_span", "_token", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        attributes: Mapping[str, Any] | None,
        kind: str,
        new_trace: bool,
        control_flow: Callable[[BaseException], bool],
    ) -> None:
        self._control_flow = control_flow
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._kind = kind
        self._new_trace = new_trace
        self._span: Span | None = None
        self._token: Any = None

    def __enter__(self) -> ActiveSpan:
        with guarded("telemetry:span start"):
            self._span = span = start_span(
                self._tracer, self._name, self._attributes, self._kind, new_trace=self._new_trace
            )
            self._token = context_api.attach(trace_api.set_span_in_context(span))
        return self

    def set(self, key: str, value: Any) -> None:
        """Set one attribute; None sets nothing, a value that no attribute can hold leaves its class name."""
        with guarded("telemetry:span attribute"):
            if self._span is not None and value is not None:
                self._span.set_attribute(key, plain(value))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        with guarded("telemetry:span end"):
            if self._token is not None:
                _detach(self._token)
            if self._span is not None:
                if error is not None:
                    _record_error(self._span, error, self._control_flow(error))
                self._span.end()
        return False


def start_span(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, Any] | None,
    kind: str = names.INTERNAL,
    *,
    new_trace: bool = False,
    start_ns: int | None = None,
) -> Span:
    """Start a span below the current one; with ``new_trace`` as the root of its own trace, linked to it.

    Work that goes on in the background carries the context of the turn that began it. Once that turn has
    ended, its spans begin traces of their own as well: nothing hangs below what has ended.
    """
    links = []
    current = trace_api.get_current_span()
    new_trace = new_trace or getattr(current, "end_time", None) is not None
    if new_trace:
        cause = current.get_span_context()
        links = [Link(cause)] if cause.is_valid else []
    return tracer.start_span(
        clean(name, _NAME_LENGTH),
        context=context_api.Context() if new_trace else None,
        kind=_KINDS[kind],
        attributes={key: plain(value) for key, value in (attributes or {}).items() if value is not None},
        links=links,
        start_time=start_ns,
        # The SDK would store the exception's text, and that is the user's.
        record_exception=False,
        set_status_on_exception=False,
    )


def current_trace_id() -> str | None:
    """The id of the trace that is going on here, as 32 hex digits."""
    context = trace_api.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


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
    name = _class_name(error)
    # Cancelling, closing and interrupting come from outside: the span was stopped, it did not fail.
    stopped = stopped or isinstance(error, concurrent.futures.CancelledError)
    if isinstance(error, Exception) and not stopped:
        span.set_attribute(names.ERROR_TYPE, name)
        span.set_status(_ERROR)
    else:
        span.set_attribute(names.INTERRUPTED, name)


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _detach(token: Any) -> None:
    if not isinstance(token, contextvars.Token):
        context_api.detach(token)
        return
    # Left in another context than it was entered in (a generator closed elsewhere): that context is gone or
    # not ours to change. The API's own detach() would log a traceback here.
    with contextlib.suppress(ValueError, RuntimeError):
        token.var.reset(token)
