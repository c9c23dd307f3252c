"""Any other error is reported and ends the turn."""

from typing import Any

from helpers import errors
from helpers.extension import Extension


class ReportAndEnd(Extension):
    async def execute(self, data: dict[str, Any], **kwargs: Any) -> None:
        error = data["exception"]
        if self.agent and error and not isinstance(error, errors.HandledException):
            self.agent.context.log.log(type="error", content=errors.format_error(error))
            data["exception"] = errors.HandledException(error)
