import asyncio

from helpers import errors
from helpers.errors import HandledException, RepairableException
from helpers.extension import Extension
from plugins._error_retry.extensions.python._functions.agent.Agent.monologue.start._10_reset_critical_exception_counter import (
    DATA_NAME_COUNTER,
)


class RetryCriticalException(Extension):
    async def execute(self, data={}, **kwargs):
        exception = data.get("exception")
        if not self.agent:
            return
        if not exception or isinstance(exception, (HandledException, RepairableException)):
            self.agent.set_data(DATA_NAME_COUNTER, 0)
            return
        tries = self.agent.get_data(DATA_NAME_COUNTER) or 0
        if tries >= 1:
            return
        self.agent.set_data(DATA_NAME_COUNTER, tries + 1)
        report = errors.format_error(exception)
        self.agent.context.log.log(
            type="warning", heading="Unexpected: once more", content=report
        )
        await asyncio.sleep(0.01)
        await self.agent.handle_intervention()
        facing = self.agent.read_prompt("fw.msg_critical_error.md", error_message=report)
        self.agent.hist_add_warning(message=facing)
        data["exception"] = None
