from helpers.extension import Extension


class IterationNo(Extension):
    async def execute(self, loop_data=None, **kwargs):
        loop_data.extras_temporary["iteration"] = loop_data.iteration
