"""What wrappers know of spans: how to open one, and one that is nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

from autoperf.telemetry import names


class SpanHandle(Protocol):
    """A span that is open."""

    def set(self, key: str, value: Any) -> None:
        """Set one attribute."""


class Tracing(Protocol):
    """The part of telemetry that wrappers use; see `autoperf.telemetry.Telemetry`."""

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


class _NoSpan:
    def set(self, key: str, value: Any) -> None:
        """Ignore the attribute."""


NO_SPAN: Final = nullcontext(_NoSpan())
