"""Messages enter the history without blank space around them."""

from typing import Any

from helpers.extension import Extension


class Strip(Extension):
    def execute(self, content_data: dict[str, Any], **kwargs: Any) -> None:
        if isinstance(content_data["content"], str):
            content_data["content"] = content_data["content"].strip()
