"""Whether the host has made a model that runs in this process, and so needs PyTorch."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.monitor.frames import held
from autoperf.patching.patch import Switch

Build = Callable[[Any, Switch], Any]
# Modules that keep their one model in a variable.
_KEPT: Final = (("whisper", "_model"), ("kokoro_tts", "_pipeline"))
_PACKAGES: Final = ("python.helpers", "helpers")


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """Local embeddings are counted as they are made."""
    if "local_embeddings" in targets:
        yield targets["local_embeddings"], _counting(probe)


def _counting(probe: Probe) -> Build:
    def build(_original: Any, _switch: Switch) -> Any:
        def making(call: Any, self: Any, /, *args: Any, **kwargs: Any) -> None:
            probe.local_models += 1
            call(self, *args, **kwargs)

        return making

    return build


def used(probe: Probe) -> bool:
    """Whether any was made so far."""
    modules = (sys.modules.get(f"{package}.{name}") for package in _PACKAGES for name, _ in _KEPT)
    names = [name for _ in _PACKAGES for _, name in _KEPT]
    kept = (held(module, name) for module, name in zip(modules, names, strict=True))
    return probe.local_models > 0 or any(model is not None for model in kept)


def chats() -> int | None:
    """How many chats the host keeps in memory; None before it knows what a chat is."""
    contexts = held(held(sys.modules.get("agent"), "AgentContext"), "_contexts")
    return len(contexts) if type(contexts) is dict else None


def finds_compiled(root: Path) -> bool:
    """Whether a start finds the host's modules compiled, or leaves them so for the next."""
    if not sys.dont_write_bytecode and os.access(root, os.W_OK):
        return True
    return os.path.exists(importlib.util.cache_from_source(str(root / "agent.py")))
