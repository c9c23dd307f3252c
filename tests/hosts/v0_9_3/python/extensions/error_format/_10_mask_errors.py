from python.helpers.extension import Extension
from python.helpers.secrets import SecretsManager


class MaskErrorSecrets(Extension):
    async def execute(self, msg=None, **kwargs):
        if msg and "message" in msg:
            msg["message"] = SecretsManager.get_instance().mask_values(msg["message"])
