from python.helpers.extension import Extension
from python.helpers.secrets import get_secrets_manager


class MaskToolSecrets(Extension):
    async def execute(self, response=None, **kwargs):
        if response:
            response.message = get_secrets_manager(self.agent.context).mask_values(response.message)
