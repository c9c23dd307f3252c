"""The model in use; with a result set at the start point, the agent's own function is not called."""

from typing import Any

from helpers.extension import Extension


class ProvideScriptedModel(Extension):
    def execute(self, data: dict[str, Any], **kwargs: Any) -> None:
        if self.agent:
            data["result"] = self.agent.config.additional["model"]
