"""Our current span, in a context variable of our own, and in OpenTelemetry's where the host shares that."""

from __future__ import annotations

import contextlib
import contextvars
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from autoperf.errors.standins import passed_on

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span


class SpanProxy(trace_api.NonRecordingSpan):
    """Stands in the host's context for the span ``above`` it: what is said of this is said of that."""

    def __init__(self) -> None:
        """Nothing of the API's: that asks for a context at once."""

    @property
    def above(self) -> Span:
        """The span that this looks like."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        # What spans of the SDK have beyond the API; what is private is nobody's, or missing here.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.above, name)


for _name in vars(trace_api.NonRecordingSpan).keys() - vars(SpanProxy).keys():
    if callable(getattr(SpanProxy, _name)):  # all that the API's span, which does nothing, does nothing for
        setattr(SpanProxy, _name, passed_on("above", _name))


class _Beside(NamedTuple):
    """A span of ours, and the one that was current for everybody when it began."""

    span: Span
    theirs: Span


_SPAN: Final[ContextVar[Span | _Beside | None]] = ContextVar("autoperf_span", default=None)
Tokens = tuple[Any, Any]


def current(*, shared: bool) -> Span:
    """The innermost span that is going on here, or the invalid one.

    Only ``shared``, with a provider that the host has made global, it may be one of the host's: a plugin
    with a provider of its own must get no parent of ours, nor we one of which our traces know nothing.
    """
    found = _SPAN.get()
    ours = found.span if isinstance(found, _Beside) else found
    if not shared:
        return trace_api.INVALID_SPAN if ours is None else ours
    theirs = trace_api.get_current_span()
    if ours is None:
        return theirs
    known = theirs is ours or (isinstance(found, _Beside) and theirs is found.theirs)
    return ours if known or not theirs.get_span_context().is_valid else theirs


def enter(span: Span, *, shared: bool) -> Tokens:
    """Make ``span`` the current one; give what this returns to `leave`."""
    if not shared:
        return _SPAN.set(span), None
    token = _SPAN.set(_Beside(span, trace_api.get_current_span()))
    return token, context_api.attach(trace_api.set_span_in_context(span))


def leave(tokens: Tokens) -> None:
    """Make the span current that was so before."""
    ours, theirs = tokens
    # Left in another context than it was entered in (a generator closed elsewhere): that context is gone or
    # not ours to change. The API's own detach() would log a traceback here.
    if theirs is not None:
        with contextlib.suppress(ValueError, RuntimeError):
            if isinstance(theirs, contextvars.Token):
                theirs.var.reset(theirs)
            else:
                context_api.detach(theirs)
    try:  # noqa: SIM105 - contextlib.suppress costs more than all the rest
        _SPAN.reset(ours)
    except (ValueError, RuntimeError):
        pass


def below(parent: Span, *, shared: bool) -> Context:
    """What a span below ``parent`` is begun in: of the host's context only where that is shared."""
    return trace_api.set_span_in_context(parent, None if shared else context_api.Context())


def current_trace_id(*, shared: bool) -> str | None:
    """The id of the trace that is going on here, as 32 hex digits."""
    found = current(shared=shared).get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None


def example(*, shared: bool, in_host_meters: bool) -> Context:
    """The context of a measurement: the current span, unless the host's metrics do not know it."""
    if in_host_meters and not shared:
        return context_api.Context()
    return below(current(shared=shared), shared=shared)
