from python.helpers.extension import Extension
from python.helpers.secrets import SecretsManager


class MaskResponseStreamChunk(Extension):
    async def execute(self, **kwargs):
        agent = kwargs.get("agent")
        stream_data = kwargs.get("stream_data")
        if not agent or not stream_data:
            return  # always, since nobody passes the agent here: kept as the real program has it
        manager = SecretsManager.get_instance()
        stream_data["full"] = manager.mask_values(stream_data["full"])
