"""The log items people see in the chat."""

from typing import Any

from . import journal


class LogItem:
    def __init__(self, log: "Log", no: int, type: str, heading: str, content: str, kvps: dict | None):
        self.log, self.no, self.type = log, no, type
        self.heading, self.content, self.kvps = heading, content, kvps

    def update(self, heading: str | None = None, content: str | None = None, kvps: dict | None = None):
        self.heading = self.heading if heading is None else heading
        self.content = self.content if content is None else content
        self.kvps = self.kvps if kvps is None else kvps
        journal.note("log.update", no=self.no, heading=heading, content=content, kvps=kvps)

    def output(self) -> dict[str, Any]:
        return {
            "no": self.no,
            "type": self.type,
            "heading": self.heading,
            "content": self.content,
            "kvps": self.kvps,
        }


class Log:
    def __init__(self):
        self.logs: list[LogItem] = []
        self.progress = ""

    def log(
        self, type: str, heading: str = "", content: str = "", kvps: dict | None = None, **kwargs
    ) -> LogItem:
        item = LogItem(self, len(self.logs), type, heading, content, dict(kvps or {}))
        self.logs.append(item)
        journal.note("log", **item.output())
        return item

    def set_progress(self, progress: str, *_: Any) -> None:
        self.progress = progress

    def output(self) -> list[dict[str, Any]]:
        return [item.output() for item in self.logs]
