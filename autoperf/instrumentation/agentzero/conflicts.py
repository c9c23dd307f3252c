"""Plugins of the host that do what a seam of ours is for: beside one of them the seam stays as it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from autoperf.patching.patch import Switch, UnneededError

# https://github.com/linkliti/a0-plugin-runtime_cache keeps files, skills, presets, environment, token counts.
_CACHING: Final = "runtime_cache"
_OFF: Final = ".toggle-0"

Build = Callable[[Any, Switch], Any]


def unless_cached(root: str, build: Build) -> Build:
    """``build``, but for a host in ``root`` that has a caching plugin: then the seam stays as it is."""

    def build_unless_cached(original: Any, switch: Switch) -> Any:
        plugin = caching_plugin(root)
        if plugin:
            raise UnneededError(f"the plugin {plugin} does this")
        return build(original, switch)

    return build_unless_cached


def caching_plugin(root: str) -> str:
    """The name of a caching plugin below ``root`` that is not switched off; empty when there is none."""
    for parent in (os.path.join(root, "usr", "plugins"), os.path.join(root, "plugins")):
        try:
            names = os.listdir(parent)
        except OSError:
            continue
        for name in names:
            if name.strip("_") == _CACHING and not os.path.exists(os.path.join(parent, name, _OFF)):
                return name
    return ""
