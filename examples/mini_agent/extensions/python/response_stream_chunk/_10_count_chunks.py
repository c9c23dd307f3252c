"""Chunks are counted as they arrive."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class CountChunks(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        loop_data.params_persistent["chunks"] += 1
