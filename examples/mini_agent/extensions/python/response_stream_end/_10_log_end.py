"""A reply that never got a headline loses its "Generating..."."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class LogEnd(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        item = loop_data.params_temporary["log_item"]
        item.update(heading=item.heading.replace("Generating...", "Replied"))
