"""A tracing that keeps what it is told, for tests of wrappers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class RecordedSpan:
    """A span around a block: its attributes, those set later included, and how it ended."""

    name: str
    kind: str
    attributes: dict[str, Any]
    error: str = ""
    ended: bool = False

    def set(self, key: str, value: Any) -> None:
        """Set one attribute, as long as the span is open."""
        assert not self.ended
        if value is not None:
            self.attributes[key] = value


class RecordedPending:
    """What becomes a span when it took long, as `Recording.pending` begins it."""

    def __init__(self, around: AbstractContextManager[RecordedSpan]) -> None:
        self._around = around
        around.__enter__()

    def over(self, error: BaseException | None, *, long: bool) -> bool:
        """It has ended."""
        with contextlib.suppress(*([type(error)] if error else [])):
            self._around.__exit__(None if error is None else type(error), error, None)
        return long or error is not None


class Recording:
    """Names and attributes of spans: around a block (``opened``) and after the fact (``recorded``).

    ``from_ns`` holds, for each opened one, how long it must take to be kept; ``measured`` is for histograms.
    ``order`` tells of beginnings (``+name``), ends (``-name``, ``!name Class``) and measurements (``=name``).
    """

    def __init__(self) -> None:
        self.opened: list[tuple[str, dict[str, Any]]] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []
        self.lengths: list[int] = []
        self.from_ns: list[int] = []
        self.order: list[str] = []
        self.spans: list[RecordedSpan] = []
        self.measured: list[tuple[str, float, dict[str, Any]]] = []

    @contextmanager
    def span(
        self,
        name: str,
        attributes: dict[str, Any] | None = None,
        kind: str = "internal",
        *,
        new_trace: bool = False,
        from_ns: int = 0,
        start_ns: int | None = None,
    ) -> Iterator[RecordedSpan]:
        """A span around a block."""
        span = RecordedSpan(name, kind, dict(attributes or {}))
        self.spans.append(span)
        self.opened.append((name, span.attributes))
        self.from_ns.append(from_ns)
        self.order.append(f"+{name}")
        try:
            yield span
        except BaseException as error:
            span.error = type(error).__name__
            self.order.append(f"!{name} {span.error}")
            raise
        else:
            self.order.append(f"-{name}")
        finally:
            span.ended = True

    def pending(self, name: str, attributes: dict[str, Any], least_ns: int) -> RecordedPending:
        """One around a block that has begun."""
        return RecordedPending(self.span(name, attributes, from_ns=least_ns))

    def record(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, Any] | None = None,
        kind: str = "internal",
    ) -> None:
        """A span after the fact."""
        self.recorded.append((name, attributes or {}))
        self.lengths.append(end_ns - start_ns)

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """One value of an instrument, which belongs to a span that is still open."""
        assert not self.spans or not all(span.ended for span in self.spans)
        self.measured.append((name, value, attributes))
        self.order.append(f"={name}")
