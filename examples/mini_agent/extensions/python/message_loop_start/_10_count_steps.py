"""Steps are counted where they begin, so that a step that fails counts as well."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class CountSteps(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        loop_data.params_persistent["steps"] += 1
