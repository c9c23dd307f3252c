"""Plugins: folders below plugins/ and usr/plugins/ that look like the host's own folder."""

import os
from typing import Any

from helpers import cache, files

ENABLED_PLUGINS_PATHS_CACHE_AREA = "enabled_plugins_paths(plugins)"


def get_enabled_plugin_paths(agent: Any, *subpaths: str) -> list[str]:
    key = cache.determine_cache_key(agent, *subpaths)
    if cached := cache.get(ENABLED_PLUGINS_PATHS_CACHE_AREA, key):
        return cached
    paths: list[str] = []
    for parent in ("usr/plugins", "plugins"):
        root = files.get_abs_path(parent)
        for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
            path = files.get_abs_path(root, name, *subpaths)
            if name != "__pycache__" and os.path.exists(path):
                paths.append(path)
    cache.add(ENABLED_PLUGINS_PATHS_CACHE_AREA, key, paths)
    return paths
