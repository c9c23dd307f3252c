from helpers.extension import Extension
from helpers.secrets import get_secrets_manager


class MaskHistoryContent(Extension):
    def execute(self, content_data=None, **kwargs):
        if content_data:
            content_data["content"] = self._mask(content_data["content"])

    def _mask(self, content):
        if isinstance(content, str):
            return get_secrets_manager(self.agent.context).mask_values(content)
        if isinstance(content, list):
            return [self._mask(item) for item in content]
        if isinstance(content, dict):
            return {key: self._mask(value) for key, value in content.items()}
        return content
