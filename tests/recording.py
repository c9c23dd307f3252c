"""A tracing that keeps what it is told, for tests of wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Recording:
    """Names and attributes of spans: around a block (``opened``) and after the fact (``recorded``).

    ``from_ns`` holds, for each opened one, how long it must take to be kept; ``measured`` is for histograms.
    """

    def __init__(self) -> None:
        self.opened: list[tuple[str, dict[str, Any]]] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []
        self.lengths: list[int] = []
        self.from_ns: list[int] = []
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
    ) -> Iterator[Handle]:
        """A span around a block."""
        held = dict(attributes or {})
        self.opened.append((name, held))
        self.from_ns.append(from_ns)
        yield Handle(held)

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
        """One value for a histogram."""
        self.measured.append((name, value, attributes))


class Handle:
    """An open span: what is set on it joins its attributes."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self._attributes = attributes

    def set(self, key: str, value: Any) -> None:
        """Set one attribute; None sets nothing."""
        if value is not None:
            self._attributes[key] = value
