"""A tracing that keeps what it is told, for tests of wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autoperf.telemetry import names


class Handle:
    """An open span: what was set on it."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes

    def set(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.attributes[key] = value


class Recording:
    """Spans around a block (``opened``) and after the fact (``recorded``): name and attributes."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, dict[str, Any]]] = []
        self.recorded: list[tuple[str, dict[str, Any]]] = []
        self.measured: list[tuple[str, dict[str, Any]]] = []
        self.lengths: list[int] = []
        self.order: list[str] = []

    @contextmanager
    def span(
        self,
        name: str,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
        *,
        new_trace: bool = False,
        from_ns: int = 0,
    ) -> Iterator[Any]:
        """A span around a block; what is set on it joins its attributes."""
        handle = Handle(dict(attributes or {}))
        self.opened.append((name, handle.attributes))
        self.order.append(f"+{name}")
        try:
            yield handle
        except BaseException as error:
            self.order.append(f"!{name} {type(error).__name__}")
            raise
        self.order.append(f"-{name}")

    def record(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, Any] | None = None,
        kind: str = names.INTERNAL,
    ) -> None:
        """A span after the fact."""
        self.recorded.append((name, attributes or {}))
        self.lengths.append(end_ns - start_ns)

    def measure(self, name: str, value: float, attributes: dict[str, Any]) -> None:
        """One value for a histogram."""
        self.measured.append((name, attributes))
        self.order.append(f"={name}")
