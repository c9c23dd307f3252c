"""The spans of our own provider: what the store needs of one; for an exporter it becomes one of the SDK's."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, TraceFlags

SCOPE: Final = "autoperf"
UNSET: Final = Status()
_DRAWN: Final = 256
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class Ids(IdGenerator):
    """Random ids from the system: the SDK's generator draws from `random`, which a tool may have seeded."""

    def generate_span_id(self) -> int:
        """64 random bits, not all 0."""
        return int.from_bytes(os.urandom(8), "big") or self.generate_span_id()

    def generate_trace_id(self) -> int:
        """128 random bits, not all 0."""
        return int.from_bytes(os.urandom(16), "big") or self.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """All bits are random; asked by newer SDKs."""
        return True


class RecordingSpan(NonRecordingSpan):
    """One span, with the fields of the SDK's that are read here; times in ns since the epoch.

    ``above`` is the span it was begun below, None for the root of a trace. It takes attributes as they are:
    `attributes.put` bounds them. A root has what ended in its ``trace``, and ``sums`` over it that only an
    exporter is told: see `export.root_sums`.
    """

    trace: list[tuple[int, int | None, str, int, int, dict[str, Any]]] | None = None
    sums: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        above: Span | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        links: Sequence[Link],
        start_ns: int | None,
    ) -> None:
        # Nothing of the API's own constructor: its field is set here.
        parent = None if above is None else above.get_span_context()
        if parent is not None and not parent.is_valid:
            above = parent = None
        self.parent = parent
        trace_id = recorder.trace_id() if parent is None else parent.trace_id
        state = None if parent is None else parent.trace_state
        self.context = SpanContext(trace_id, recorder.span_id(), False, _SAMPLED, state)
        self.recorder = recorder
        self._limits = recorder.limits  # by the SDK's name, which `attributes.put` asks for
        self.name = name
        self.above = above
        self.kind = kind
        self.attributes = attributes
        self.links = links
        self.status = UNSET
        self.start_time = time.time_ns() if start_ns is None else start_ns
        self.end_time: int | None = None

    def __repr__(self) -> str:
        return f"RecordingSpan({self.name!r}, {self.context!r})"  # the API's asks for a field that it lacks

    def get_span_context(self) -> SpanContext:
        """The ids of this span."""
        return self.context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return self.end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute while this goes on."""
        if self.end_time is None:
            self.attributes[key] = value

    def set_status(self, status: Any, description: str | None = None) -> None:  # noqa: ARG002 - the API's
        """Set the status while this goes on."""
        if self.end_time is None:
            self.status = status

    def end(self, end_time: int | None = None) -> None:
        """End it, once."""
        if self.end_time is None:
            self.end_time = time.time_ns() if end_time is None else end_time
            self.recorder.ended(self)

    def readable(self) -> ReadableSpan:
        """This span, which has ended, as the SDK's exporters take it."""
        return ReadableSpan(
            self.name,
            context=self.context,
            parent=self.parent,
            resource=self.recorder.resource,
            attributes={**self.sums, **self.attributes} if self.sums else self.attributes,
            links=self.links,
            kind=self.kind,
            instrumentation_scope=self.recorder.scope,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
        )


class Recorder:
    """Begins the spans of one provider; ``begun`` and ``ended`` are told of each."""

    def __init__(
        self,
        resource: Resource,
        limits: Any,
        begun: Callable[[RecordingSpan], None],
        ended: Callable[[RecordingSpan], None],
    ) -> None:
        self.resource = resource
        self.scope = InstrumentationScope(SCOPE)
        self._ids = Ids()
        self._drawn: list[int] = []
        self.limits = limits
        self.begun, self.ended = begun, ended

    def trace_id(self) -> int:
        """128 random bits."""
        return self._ids.generate_trace_id()

    def span_id(self) -> int:
        """64 random bits; many are drawn at once, because the system's source lets other threads run."""
        try:
            return self._drawn.pop()
        except IndexError:
            self._drawn += filter(None, struct.unpack(f"{_DRAWN}Q", os.urandom(8 * _DRAWN)))
            return self._ids.generate_span_id()

    def begin(
        self,
        name: str,
        above: Span | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        links: Sequence[Link],
        start_ns: int | None,
    ) -> RecordingSpan:
        """A span that goes on."""
        span = RecordingSpan(self, name, above, kind, attributes, links, start_ns)
        self.begun(span)
        return span
