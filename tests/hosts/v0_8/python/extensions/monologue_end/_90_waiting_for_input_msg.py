from python.helpers.extension import Extension


class WaitingForInput(Extension):
    async def execute(self, loop_data=None, **kwargs):
        self.agent.context.log.set_progress("WaitingForInput")
