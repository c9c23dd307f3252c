"""A tracing that keeps what it is told, for tests of wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Recording:
    """Names and attributes of spans: around a block (``opened``) and after the fact (``recorded``)."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, dict[str, Any]]] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []
        self.lengths: list[int] = []

    @contextmanager
    def span(
        self, name: str, attributes: dict[str, Any] | None = None, *, new_trace: bool = False
    ) -> Iterator[Any]:
        """A span around a block."""
        self.opened.append((name, attributes or {}))
        yield None

    def record(self, name: str, start_ns: int, end_ns: int, attributes: dict[str, Any] | None = None) -> None:
        """A span after the fact."""
        self.recorded.append((name, attributes or {}))
        self.lengths.append(end_ns - start_ns)
