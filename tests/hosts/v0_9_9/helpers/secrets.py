"""Secret values that must never leave the process unmasked."""

import os
from typing import Any

from . import files

SECRETS_FILE = "tmp/secrets.env"


def alias_for_key(key: str) -> str:
    return f"§§secret({key})"


class StreamingSecretsFilter:
    """Holds back the end of a stream as long as it may become a secret."""

    def __init__(self, secrets: dict[str, str], min_trigger: int = 3):
        self.secrets, self.min_trigger, self.pending = secrets, min_trigger, ""

    def process_chunk(self, chunk: str) -> str:
        self.pending += chunk
        for key, value in self.secrets.items():
            self.pending = self.pending.replace(value, alias_for_key(key))
        held = self._held()
        cut = len(self.pending) - held
        emitted, self.pending = self.pending[:cut], self.pending[cut:]
        return emitted

    def finalize(self) -> str:
        rest, self.pending = ("***" if self._held() else self.pending), ""
        return rest

    def _held(self) -> int:
        for length in range(len(self.pending), self.min_trigger - 1, -1):
            if any(value.startswith(self.pending[-length:]) for value in self.secrets.values()):
                return length
        return 0


class SecretsManager:
    def load_secrets(self) -> dict[str, str]:
        path = files.get_abs_path(SECRETS_FILE)
        if not os.path.exists(path):
            return {}
        with open(path, encoding="utf-8") as handle:
            return dict(line.rstrip("\n").split("=", 1) for line in handle if "=" in line)

    def create_streaming_filter(self) -> StreamingSecretsFilter:
        secrets = self.load_secrets()
        return StreamingSecretsFilter(secrets)

    def replace_placeholders(self, text: str) -> str:
        for key, value in self.load_secrets().items():
            text = text.replace(alias_for_key(key), value)
        return text

    def mask_values(self, text: str) -> str:
        for key, value in self.load_secrets().items():
            text = text.replace(value, alias_for_key(key))
        return text


_managers: dict[str, SecretsManager] = {}


def get_secrets_manager(context: Any = None) -> SecretsManager:
    """One manager per project; here they all read the same file."""
    project = context.get_data("project") if context else None
    return _managers.setdefault(project or "", SecretsManager())
