"""The model is reminded of the latest note."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class LatestNote(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        notes = self.agent.context.get_data("notes") if self.agent else None
        if notes:
            loop_data.extras_temporary["latest note"] = notes[-1]
