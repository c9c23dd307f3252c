"""An answer to the user is shown while it is being written."""

from typing import Any

from agent import LoopData
from helpers.extension import Extension


class LiveResponse(Extension):
    async def execute(self, loop_data: LoopData, parsed: dict[str, Any], **kwargs: Any) -> None:
        args = parsed.get("tool_args")
        if parsed.get("tool_name") == "response" and isinstance(args, dict) and args.get("text"):
            loop_data.params_temporary["log_item"].update(content=args["text"])
