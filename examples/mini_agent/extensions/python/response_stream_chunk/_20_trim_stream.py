"""What a model writes before its first brace or letter is not worth showing."""

from typing import Any

from helpers.extension import Extension


class TrimStream(Extension):
    async def execute(self, stream_data: dict[str, str], **kwargs: Any) -> None:
        stream_data["full"] = stream_data["full"].lstrip()
