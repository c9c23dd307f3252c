"""The log of one chat: what a web page would show of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class LogItem:
    """One entry; tools and stream extensions keep updating theirs."""

    no: int
    type: str
    heading: str = ""
    content: str = ""
    kvps: dict[str, Any] = field(default_factory=dict)
    id: str = ""

    def update(self, heading: str | None = None, content: str | None = None, **kvps: Any) -> None:
        """Replace the parts that are given."""
        self.heading = self.heading if heading is None else heading
        self.content = self.content if content is None else content
        self.kvps.update(kvps)


class Log:
    """Entries in the order in which they were begun."""

    def __init__(self) -> None:
        self.logs: list[LogItem] = []

    def log(
        self,
        type: str,
        heading: str | None = None,
        content: str | None = None,
        kvps: dict[str, Any] | None = None,
        id: str | None = None,
        **kwargs: Any,
    ) -> LogItem:
        """Begin an entry; its id is its number, so that two runs write the same log."""
        number = len(self.logs)
        details = {**(kvps or {}), **kwargs}
        item = LogItem(number, type, heading or "", content or "", details, id or f"log-{number}")
        self.logs.append(item)
        return item
