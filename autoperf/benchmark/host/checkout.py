"""What a benchmark run must know of an Agent Zero checkout: folders, settings, and how to talk to it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoperf.benchmark.model import server
from autoperf.benchmark.scenarios import tool_files

# Any fixed value: the host derives its API key from it, so the key is known before the host starts.
RUNTIME_ID = "autoperf-benchmark"

# Tokens; so many that nothing is cut off or summarised: where it is cut depends on the chat's random id.
CONTEXT = 4_000_000

# The host gives this name to litellm as it is, and litellm wants to see which client to use.
_EMBEDDING = f"openai/{server.EMBEDDING_MODEL}"


@dataclass(frozen=True)
class Host:
    """One checkout, described by what lies on its disk; paths are relative to ``root``."""

    root: Path
    package: str
    tools: str
    env_file: str
    settings_file: str
    model_config_file: str | None
    message_path: str
    log_path: str
    keyed: bool
    csrf: bool
    guarded: bool

    @property
    def api_key(self) -> str:
        """The key the host computes for its external API: runtime id, empty user, empty password."""
        digest = hashlib.sha256(f"{RUNTIME_ID}::".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().replace("=", "")[:16]


def describe(root: Path) -> Host:
    """Look at the files of a checkout; ``FileNotFoundError`` when it is no Agent Zero."""
    if not (root / "run_ui.py").is_file() or not (root / "agent.py").is_file():
        raise FileNotFoundError(f"{root} holds no run_ui.py and agent.py: not an Agent Zero checkout")
    modern = (root / "helpers").is_dir()
    code = root if modern else root / "python"
    dotenv = (code / "helpers" / "dotenv.py").read_text(encoding="utf-8")
    settings = (code / "helpers" / "settings.py").read_text(encoding="utf-8")
    guarded = (code / "api" / "csrf_token.py").is_file()
    keyed = (code / "api" / "api_message.py").is_file()
    prefix = "/api" if modern else ""
    return Host(
        root=root,
        package="helpers" if modern else "python.helpers",
        tools="tools" if modern else "python/tools",
        env_file="usr/.env" if '"usr/.env"' in dotenv else ".env",
        settings_file="usr/settings.json" if '"usr/settings.json"' in settings else "tmp/settings.json",
        model_config_file=_model_config_file(root),
        message_path=f"{prefix}/api_message" if keyed else "/message",
        log_path=f"{prefix}/api_log_get" if keyed else "/poll",
        keyed=keyed,
        csrf=not keyed and guarded,
        guarded=guarded,
    )


def configure(
    host: Host,
    model_url: str,
    extra_tools: Mapping[str, str],
    provider: str = "other",
    extra_settings: Mapping[str, Any] | None = None,
) -> None:
    """Write settings, environment and files into a run copy so that every model is the scripted one.

    A name in ``extra_tools`` with a slash is a path in the copy, any other the name of a tool's file.
    """
    # The key is looked up under the provider's name, whichever of them is used.
    env = {"A0_PERSISTENT_RUNTIME_ID": RUNTIME_ID, "OTHER_API_KEY": "scripted", "OPENAI_API_KEY": "scripted"}
    _write(host.root / host.env_file, "".join(f"{key}={value}\n" for key, value in env.items()))
    settings = _settings(host, model_url, provider) | dict(extra_settings or {})
    _write(host.root / host.settings_file, json.dumps(settings, indent=2))
    if host.model_config_file:
        # JSON is YAML: one writer serves config.json and presets.yaml.
        _write(
            host.root / host.model_config_file, json.dumps(_model_config(host, model_url, provider), indent=2)
        )
    for name, source in extra_tools.items():
        path = host.root / (name if "/" in name else f"{host.tools}/{name}")
        _write(path, tool_files.render(source, host.package, model_url))


def chat_model(provider: str) -> str:
    """The name under which the scripted chat model is configured."""
    return server.KNOWN_CHAT_MODEL if provider == "openai" else server.CHAT_MODEL


def _model_config_file(root: Path) -> str | None:
    plugin = root / "plugins" / "_model_config"
    if not plugin.is_dir():
        return None
    name = "presets.yaml" if (plugin / "mode_presets_fallback.yaml").is_file() else "config.json"
    return f"usr/plugins/_model_config/{name}"


def _settings(host: Host, model_url: str, provider: str) -> dict[str, Any]:
    models = (host.root / "models.py").read_text(encoding="utf-8")
    enumerated = "class ModelProvider(" in models
    name = provider.upper() if enumerated else provider
    kwargs = {"temperature": "0"}
    if "litellm" not in models:
        kwargs |= {"base_url": model_url, "api_key": "scripted"}
    settings: dict[str, Any] = {"mcp_server_enabled": False, "update_check_enabled": False}
    roles = {"chat": chat_model(provider), "util": server.UTILITY_MODEL, "browser": server.UTILITY_MODEL}
    for role, model in roles.items():
        settings |= {
            f"{role}_model_provider": name,
            f"{role}_model_name": model,
            f"{role}_model_api_base": model_url,
            f"{role}_model_kwargs": dict(kwargs),
            f"{role}_model_ctx_length": CONTEXT,
        }
    kwargs.pop("temperature")
    return settings | {
        "embed_model_provider": name,
        "embed_model_name": _EMBEDDING,
        "embed_model_api_base": model_url,
        "embed_model_kwargs": kwargs,
    }


def _model_config(host: Host, model_url: str, provider: str) -> Any:
    def slot(model: str, slot_provider: str = provider) -> dict[str, Any]:
        return {
            "provider": slot_provider,
            "name": model,
            "api_base": model_url,
            "ctx_length": CONTEXT,
            "kwargs": {},
        }

    chat, utility = slot(chat_model(provider)), slot(server.UTILITY_MODEL)
    embedding = slot(_EMBEDDING, "other")
    if host.model_config_file and host.model_config_file.endswith("presets.yaml"):
        return [{"name": "Default", "chat": chat, "utility": utility, "embedding": embedding}]
    return {
        "allow_chat_override": True,
        "chat_model": chat,
        "utility_model": utility,
        "embedding_model": embedding,
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
