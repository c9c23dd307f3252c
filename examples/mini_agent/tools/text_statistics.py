"""Counts over a text file."""

import re
from typing import Any

from helpers import files
from helpers.errors import RepairableException
from helpers.tool import Response, Tool


class TextStatistics(Tool):
    """`file` below the agent's folder, and a `word` to count."""

    async def execute(self, file: str = "", word: str = "", **kwargs: Any) -> Response:
        try:
            text = files.read_text(file)
        except OSError as error:
            raise RepairableException(f"Cannot read '{file}': {error.strerror}") from error
        words = re.findall(r"\w+", text.lower())
        lines, times = len(text.splitlines()), words.count(word.lower())
        counted = f"{lines} lines, {len(words)} words, '{word}' {times} times"
        return Response(message=counted, break_loop=False)
