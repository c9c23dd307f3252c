from python.helpers.extension import Extension
from python.helpers.secrets import SecretsManager


class UnmaskToolSecrets(Extension):
    async def execute(self, tool_args=None, **kwargs):
        manager = SecretsManager.get_instance()
        for key, value in (tool_args or {}).items():
            if isinstance(value, str):
                tool_args[key] = manager.replace_placeholders(value)
