"""What a root tells of its whole trace, worked out as it is exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import guarded
from autoperf.telemetry.recording import RecordingSpan
from autoperf.telemetry.store.tables import SpanRow

if TYPE_CHECKING:
    from autoperf.telemetry.provider import Finished

# Of a trace with more spans nothing is told.
MOST: Final = 10_000
Sums = Callable[[Sequence[SpanRow]], Mapping[str, Any]]


class RootSums:
    """``sums`` gives attributes of a root from the spans of its trace, on an exporter's thread."""

    def __init__(self, sums: Sums) -> None:
        self._sums = sums

    def add(self, span: Finished) -> None:
        """``span`` has ended; a root after all that it waited for. On the host's threads."""
        if type(span) is not RecordingSpan:
            return
        root = span
        while root.above is not None:
            if type(root.above) is not RecordingSpan:
                return  # below a span of somebody else's
            root = root.above
        if root.end_time is not None and root is not span:
            return
        if root.trace is None:
            root.trace = []
        if len(root.trace) <= MOST:
            # Not the span: it holds the root, and nothing is to hold itself.
            above = None if span.parent is None else span.parent.span_id
            end_ns = span.end_time or 0
            row = span.context.span_id, above, span.name, span.start_time, end_ns, span.attributes
            root.trace.append(row)

    def tell(self, spans: Sequence[Finished]) -> Sequence[Finished]:
        """``spans``, with the sums on the roots among them."""
        for span in spans:
            if type(span) is RecordingSpan and span.trace is not None and len(span.trace) <= MOST:
                with guarded("telemetry:root"):
                    span.sums = self._sums([_row(span.context.trace_id, *found) for found in span.trace])
                    span.trace = None  # last: the thread of another exporter may be at it too
        return spans


def _row(
    trace: int, own: int, above: int | None, name: str, start_ns: int, end_ns: int, attributes: Any
) -> SpanRow:
    parent = None if above is None else f"{above:016x}"
    return SpanRow(
        f"{trace:032x}", f"{own:016x}", parent, name, "internal", start_ns, end_ns, "unset", 0, attributes
    )
