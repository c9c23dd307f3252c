"""What wrappers know of spans: how to open one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from autoperf.telemetry import names
from autoperf.telemetry.no_span import NO_SPAN as NO_SPAN


class SpanHandle(Protocol):
    """A span that is open."""

    def set(self, key: str, value: Any) -> None:
        """Set one attribute."""


class PendingHandle(Protocol):
    """What becomes a span if it takes long, fails, or holds one."""

    def over(self, error: BaseException | None, *, long: bool) -> bool:
        """It has ended, perhaps with ``error``; ``long`` makes it a span. Whether it became one."""


class Tracing(Protocol):
    """The part of telemetry that wrappers use; see `autoperf.telemetry.tracing.Telemetry`."""

    def span(
        self,
        name: str,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
        *,
        new_trace: bool = False,
        from_ns: int = 0,
        start_ns: int | None = None,
    ) -> AbstractContextManager[SpanHandle]:
        """A span around a block; with ``new_trace`` a root; with ``from_ns`` only if it took that long.

        Or if it failed, or something began below it, or an attribute was set on it. One with ``from_ns`` may
        have begun at ``start_ns`` already.
        """

    def pending(self, name: str, attributes: dict[str, Any], least_ns: int) -> PendingHandle:
        """The same with ``from_ns``, begun already, for what is called often."""

    def record(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
    ) -> None:
        """A span after the fact, child of the current one; Unix time in ns."""

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """One value for the histogram ``name``."""
