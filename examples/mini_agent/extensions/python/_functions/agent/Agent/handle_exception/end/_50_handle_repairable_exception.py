"""An error that the model may repair is told to it, and the loop goes on."""

from typing import Any

from helpers import errors
from helpers.extension import Extension
from helpers.print_style import PrintStyle


class TellModel(Extension):
    async def execute(self, data: dict[str, Any], **kwargs: Any) -> None:
        error = data["exception"]
        if self.agent and isinstance(error, errors.RepairableException):
            text = errors.format_error(error)
            self.agent.hist_add_warning(text)
            self.agent.context.log.log(type="warning", content=text)
            PrintStyle(self.agent.agent_name).print(f"error: {error}")
            data["exception"] = None
