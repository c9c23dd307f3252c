from helpers.extension import Extension
from helpers.secrets import get_secrets_manager


class UnmaskToolSecrets(Extension):
    async def execute(self, tool_args=None, **kwargs):
        manager = get_secrets_manager(self.agent.context)
        for key, value in (tool_args or {}).items():
            if isinstance(value, str):
                tool_args[key] = manager.replace_placeholders(value)
