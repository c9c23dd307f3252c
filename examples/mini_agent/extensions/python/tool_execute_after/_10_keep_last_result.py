"""The last line of an answer is kept for `{{last_result}}`; of a sum only what follows the equals sign."""

from typing import Any

from helpers.extension import Extension
from helpers.tool import Response


class KeepLastResult(Extension):
    async def execute(self, response: Response, **kwargs: Any) -> None:
        if self.agent:
            self.agent.set_data("last_result", response.message.rpartition("\n")[2].rpartition(" = ")[2])
