from helpers.errors import InterventionException
from helpers.extension import Extension


class HandleInterventionException(Extension):
    async def execute(self, data={}, **kwargs):
        if self.agent and isinstance(data.get("exception"), InterventionException):
            data["exception"] = None
