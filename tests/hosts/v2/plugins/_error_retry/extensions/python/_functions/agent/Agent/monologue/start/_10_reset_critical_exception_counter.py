from helpers.extension import Extension

DATA_NAME_COUNTER = "_plugin.error_retry.critical_exception_counter"


class ForgetTries(Extension):
    async def execute(self, **kwargs):
        if self.agent:
            self.agent.set_data(DATA_NAME_COUNTER, 0)
