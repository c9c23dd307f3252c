from python.helpers.extension import Extension


class RenameChat(Extension):
    async def execute(self, **kwargs):
        self.agent.set_data("renamed", True)
