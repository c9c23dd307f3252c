from python.helpers.extension import Extension
from python.helpers.secrets import SecretsManager


class MaskToolSecrets(Extension):
    async def execute(self, response=None, **kwargs):
        if response:
            response.message = SecretsManager.get_instance().mask_values(response.message)
