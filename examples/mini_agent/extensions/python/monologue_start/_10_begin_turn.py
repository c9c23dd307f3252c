"""A turn begins with its counters at zero."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class BeginTurn(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        loop_data.params_persistent.update(steps=0, chunks=0)
