"""Every agent begins without a last result."""

from typing import Any

from helpers.extension import Extension


class ForgetLastResult(Extension):
    def execute(self, **kwargs: Any) -> None:
        if self.agent:
            self.agent.set_data("last_result", "")
