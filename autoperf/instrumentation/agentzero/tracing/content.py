"""Messages, arguments and results as attributes: only when asked for, masked by the host, cut at a limit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from autoperf.errors import guarded

_SECRETS: Final = ("helpers.secrets", "python.helpers.secrets")
_DEEPEST: Final = 20
_NAME_LENGTH: Final = 200
# How many parts of one message may be left of which nothing but the mark fits in.
_MARKS: Final = 20


class Content:
    """Captures content while ``on``; ``limit`` is in characters, for each attribute."""

    def __init__(self, limit: int = 4096, *, on: bool = False) -> None:
        self.limit = limit
        self.on = on

    def text(self, owner: Any, value: Any) -> str | None:
        """``value`` as text, masked with the secrets of ``owner``, an agent or its context or None, and cut.

        What is not text becomes JSON. None when capture is off, when there is nothing, or when the host can
        mask but it did not work.
        """
        if not self.on or value is None:
            return None
        with guarded("content"):
            masked = self._masked(owner, value)
            if masked is None:
                return None
            return self.cut(masked if isinstance(masked, str) else _json(masked))
        return None

    def messages(self, owner: Any, messages: Iterable[dict[str, Any]]) -> str | None:
        """Messages in the shape of the GenAI conventions, as JSON; the newest are kept, the oldest left out.

        A message is ``{"role", "parts": [{"type", ...}]}``. The texts together are cut at the limit, so that
        what remains is JSON. None as in `text`.
        """
        if not self.on:
            return None
        with guarded("content"):
            masked = self._masked(owner, list(messages))
            if not masked:
                return None
            kept: list[Any] = []
            left = self.limit
            for message in reversed(masked):
                if left <= 0:
                    break
                parts, left = self._fitting(message["parts"], left)
                kept.append({**message, "parts": parts})
            return _json(kept[::-1])
        return None

    def parts(self, owner: Any, parts: Iterable[dict[str, Any]]) -> str | None:
        """Parts of one message, as JSON, cut like `messages`."""
        if not self.on:
            return None
        with guarded("content"):
            masked = self._masked(owner, list(parts))
            return _json(self._fitting(masked, self.limit)[0]) if masked else None
        return None

    def cut(self, text: str) -> str:
        """``text`` in at most ``limit`` characters, with a mark at its end when something is missing."""
        return text if len(text) <= self.limit else text[: self.limit - 1] + "…"

    def _fitting(self, parts: list[dict[str, Any]], left: int) -> tuple[list[dict[str, Any]], int]:
        fitting = []
        for part in parts:
            if left <= -_MARKS:
                break
            before, cut = left, dict(part)
            for key in ("name", "id"):
                if isinstance(part.get(key), str):
                    cut[key] = part[key][:_NAME_LENGTH]
            for key in ("content", "arguments"):
                if part.get(key) is None:
                    continue
                text = part[key] if isinstance(part[key], str) else _json(part[key])
                if len(text) > left:
                    text = cut[key] = text[: max(0, left - 1)] + "…"
                left -= len(text)
            left -= left == before  # pictures and empty texts come to an end too
            fitting.append(cut)
        return fitting, left

    def _masked(self, owner: Any, value: Any) -> Any:
        mask = _masking(owner)
        try:
            return None if mask is None else _map(value, mask, _DEEPEST)
        except _Unmasked:
            return None


class _Unmasked(Exception):  # noqa: N818 - an outcome, no failure of ours
    pass


def _masking(owner: Any) -> Callable[[str], str] | None:
    """The host's own masking; the identity where the generation has none (to v0.9.5); None where it fails."""
    found = (sys.modules[name] for name in _SECRETS if name in sys.modules)
    secrets = next(found, None)
    if secrets is None:
        return None if _unloaded_on_disk() else str
    context = getattr(owner, "context", owner)
    try:
        if hasattr(secrets, "get_secrets_manager"):
            mask = secrets.get_secrets_manager(context).mask_values
        else:
            mask = secrets.SecretsManager.get_instance().mask_values
    except Exception:
        # The host's own trouble, with its secrets at stake: say nothing rather than too much.
        return None

    def careful(text: str) -> str:
        try:
            return str(mask(text))
        except Exception:
            raise _Unmasked from None

    return careful


def _unloaded_on_disk() -> bool:
    file = getattr(sys.modules.get("agent"), "__file__", None)
    if not file:
        return False
    return any(Path(file).parent.joinpath(*name.split(".")).with_suffix(".py").exists() for name in _SECRETS)


def _map(value: Any, mask: Callable[[str], str], depth: int) -> Any:
    if isinstance(value, str):
        return mask(value)
    if depth and isinstance(value, dict):
        return {mask(str(key)): _map(item, mask, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [_map(item, mask, depth - 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if mask(str(value)) == str(value) else mask(str(value))
    # Anything else has a text of its own, which may hold anything.
    return type(value).__name__


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
