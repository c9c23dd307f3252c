"""Our side of the OpenTelemetry SDK: provider, the processor that takes finished spans, rows for the store.

Imports the SDK, so it is itself imported only once telemetry has been started.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider, sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.trace import StatusCode

from autoperf.telemetry import context, names
from autoperf.telemetry.attributes import put
from autoperf.telemetry.export import exporters, otlp
from autoperf.telemetry.recording import SCOPE, Ids, Recorder, RecordingSpan
from autoperf.telemetry.spans import KINDS, Source
from autoperf.telemetry.store.store import SpanRow
from autoperf.telemetry.store.tables import OPEN
from autoperf.telemetry.variables import Variables

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as AnySpan
    from opentelemetry.trace import SpanKind, Tracer

Finished = ReadableSpan | RecordingSpan
_OPEN_TRACKED: Final = 10_000
# An enumeration's own `name` is a property written in Python.
_KINDS: Final = {kind: text for text, kind in KINDS.items()}
_STATUSES: Final = {code: code.name.lower() for code in StatusCode}


class _Provider(TracerProvider):
    """The SDK's, without its work in a forked child: there we begin anew, and the host's fork stays quick."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        """The SDK's, without the filter that it adds to the warnings of the whole process."""
        with warnings.catch_warnings():
            return super().get_tracer(*args, **kwargs)

    def _handle_fork(self) -> None:
        # Recent SDKs run resource detectors here, on a thread pool.
        return


def make_provider(resource: Resource, variables: Variables) -> TracerProvider:
    """A private provider, never made global; sampler and limits are those of the standard variables."""
    return _Provider(
        sampler=_sampler(*variables.sampler()),
        resource=resource,
        shutdown_on_exit=False,
        id_generator=Ids(),
        span_limits=SpanLimits(**variables.limits()),
        **exporters.without_metrics(TracerProvider),
    )


def _sampler(name: str, ratio: float) -> sampling.Sampler:
    if name == "parentbased_always_on":
        return sampling.DEFAULT_ON
    root: sampling.Sampler
    if name.endswith("traceidratio"):
        root = sampling.TraceIdRatioBased(ratio)
    else:
        root = sampling.ALWAYS_OFF if name.endswith("always_off") else sampling.ALWAYS_ON
    return sampling.ParentBased(root) if name.startswith("parentbased") else root


def make_resource(given: Mapping[str, str], variables: Variables) -> Resource:
    """What describes this process; ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME`` win.

    Not `Resource.create`: there the arguments win over the variables, and it scans every entry point.
    """
    return Resource(
        {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": sdk_version,
            names.SERVICE_NAME: names.DEFAULT_SERVICE,
            **given,
            **variables.resource(),
        }
    )


def source(provider: TracerProvider, *, shared: bool) -> Source:
    """What spans are made with in ``provider``; ``shared`` says that it is the host's."""
    tracer = provider.get_tracer(SCOPE)
    if shared and type(getattr(tracer, "id_generator", None)) is RandomIdGenerator:
        setattr(tracer, "id_generator", Ids())  # noqa: B010 - of this tracer, which is ours alone

    def begin(name: str, above: AnySpan | None, kind: SpanKind, *given: Any) -> AnySpan:
        attributes, links, start_ns = given
        return tracer.start_span(
            name,
            context=context_api.Context() if above is None else context.below(above, shared=shared),
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=start_ns,
            # The SDK would store the exception's text, and that is the user's.
            record_exception=False,
            set_status_on_exception=False,
        )

    return Source(begin, shared, getattr(tracer, "_span_limits", None))


def own_source(provider: TracerProvider, processor: Processor) -> Source:
    """The same of our provider: with spans of our own, where the SDK would record each of them."""
    made = source(provider, shared=False)
    if provider.sampler is not sampling.DEFAULT_ON or otlp.switched_off():
        return made
    recorder = Recorder(provider.resource, made.limits, processor.begun, processor.ended)
    return made._replace(begin=recorder.begin)


def host_provider() -> TracerProvider | None:
    """The SDK provider that the host has made global, or None.

    Not `get_tracer_provider`: where the host has set none, that may load and set one itself.
    """
    provider = getattr(trace_api, "_TRACER_PROVIDER", None)
    return provider if isinstance(provider, TracerProvider) else None


class Processor(SpanProcessor):
    """Hands our finished spans on, and knows those still open so that they can be ended at the end.

    In a provider of the host's it sees the host's spans too and leaves them alone.
    """

    def __init__(self, take: Callable[[Finished], None], begins: Callable[[], None]) -> None:
        self.live = True
        self._take, self._begins = take, begins
        self._open: dict[int, Span | RecordingSpan] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - SDK's name
        """Remember ``span`` until it ends."""
        if _is_ours(span):
            self.begun(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand ``span`` on if it is ours."""
        if _is_ours(span):
            self.ended(span)

    def begun(self, span: Span | RecordingSpan) -> None:
        """Remember ``span`` until it ends; bounded, because a span may never end."""
        if len(self._open) < _OPEN_TRACKED:
            self._open[span.get_span_context().span_id] = span
            self._begins()

    def ended(self, span: Finished) -> None:
        """Hand ``span`` on; after a fork not in the child, whose inherited spans the parent ends."""
        if not self.live:
            return
        if span.context is not None:
            self._open.pop(span.context.span_id, None)
        self._take(span)

    def open(self) -> list[Span | RecordingSpan]:
        """The spans that have begun in this process and not ended, oldest first."""
        return [span for span in list(self._open.values()) if span.is_recording()] if self.live else []

    def end_open(self) -> None:
        """End the spans still open, marked as cut off."""
        for span in list(self._open.values()):
            if span.is_recording():
                put(span, names.CUT_OFF, True)
                span.end()
        self._open.clear()


def _is_ours(span: ReadableSpan) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name == SCOPE


def row_of_open(span: Finished) -> SpanRow:
    """A span that has not ended, as the store keeps it until then: up to now, the last sign of life."""
    return row_of(span)._replace(end_ns=time.time_ns(), status=OPEN)


def row_of(span: Finished) -> SpanRow:
    """A finished span as the store keeps it."""
    ids, parent = span.context, span.parent
    assert ids is not None
    return SpanRow(
        trace_id=f"{ids.trace_id:032x}",
        span_id=f"{ids.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent is not None else None,
        name=span.name,
        kind=_KINDS[span.kind],
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=_STATUSES[span.status.status_code],
        pid=os.getpid(),
        attributes=dict(span.attributes or {}),
        links=[[f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}"] for link in span.links],
    )
