"""Long answers of tools are cut: the model reads every one of them again in each step."""

from typing import Any

from helpers.extension import Extension

LIMIT = 400


class Shorten(Extension):
    def execute(self, data: dict[str, Any], **kwargs: Any) -> None:
        text = data["tool_result"]
        if len(text) > LIMIT:
            data["tool_result"] = f"{text[:LIMIT]}... ({len(text) - LIMIT} more characters)"
