"""The model is told which step it is at."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class StepNumber(Extension):
    async def execute(self, loop_data: LoopData, **kwargs: Any) -> None:
        loop_data.extras_temporary["step"] = str(loop_data.iteration + 1)
