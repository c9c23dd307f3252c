from helpers.extension import Extension
from helpers.secrets import get_secrets_manager


class MaskResponseStreamChunk(Extension):
    async def execute(self, **kwargs):
        agent = kwargs.get("agent")
        stream_data = kwargs.get("stream_data")
        if not agent or not stream_data:
            return  # always, since nobody passes the agent here: kept as the real program has it
        manager = get_secrets_manager(self.agent.context)
        stream_data["full"] = manager.mask_values(stream_data["full"])
