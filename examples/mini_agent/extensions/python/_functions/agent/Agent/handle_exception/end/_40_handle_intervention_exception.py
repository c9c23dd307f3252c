"""After an intervention the loop goes on: the new message is already in the history."""

from typing import Any

from helpers.errors import InterventionException
from helpers.extension import Extension


class GoOnAfterIntervention(Extension):
    async def execute(self, data: dict[str, Any], **kwargs: Any) -> None:
        error = data["exception"]
        if isinstance(error, InterventionException):
            data["exception"] = None
