"""`{{last_result}}` in an argument stands for the answer of the tool before."""

from typing import Any

from helpers.extension import Extension


class InsertLastResult(Extension):
    async def execute(self, tool_args: dict[str, Any], **kwargs: Any) -> None:
        if not self.agent:
            return
        for name, value in tool_args.items():
            if isinstance(value, str):
                # In place: the tool is executed with this very dict.
                tool_args[name] = value.replace("{{last_result}}", self.agent.get_data("last_result"))
