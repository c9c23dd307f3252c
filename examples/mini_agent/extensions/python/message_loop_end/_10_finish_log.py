"""The log entry of a step says how many chunks the turn has taken so far."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class FinishLog(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        item = loop_data.params_temporary.get("log_item")
        if item:
            item.update(chunks=loop_data.params_persistent["chunks"])
