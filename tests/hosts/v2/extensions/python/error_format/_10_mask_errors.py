from helpers.extension import Extension
from helpers.secrets import get_secrets_manager


class MaskErrorSecrets(Extension):
    async def execute(self, msg=None, **kwargs):
        if msg and "message" in msg:
            msg["message"] = get_secrets_manager(self.agent.context).mask_values(msg["message"])
