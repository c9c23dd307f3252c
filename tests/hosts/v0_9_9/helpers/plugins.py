"""Plugins: folders below plugins/ and usr/plugins/ that look like the host's own folder."""

import os
from typing import Any

from helpers import cache, files

PLUGINS_DIR = "plugins"
USER_DIR = "usr"
OFF = ".toggle-0"
PLUGINS_LIST_CACHE_AREA = "plugins_list(plugins)"
ENABLED_PLUGINS_LIST_CACHE_AREA = "enabled_plugins(plugins)"
ENABLED_PLUGINS_PATHS_CACHE_AREA = "enabled_plugins_paths(plugins)"


def get_plugins_list() -> list[str]:
    if cached := cache.get(PLUGINS_LIST_CACHE_AREA, ""):
        return cached
    names: set[str] = set()
    for root in (files.get_abs_path(USER_DIR, PLUGINS_DIR), files.get_abs_path(PLUGINS_DIR)):
        found = os.listdir(root) if os.path.isdir(root) else []
        names.update(name for name in found if os.path.isdir(os.path.join(root, name)) and name[:2] != "__")
    cache.add(PLUGINS_LIST_CACHE_AREA, "", sorted(names))
    return sorted(names)


def find_plugin_dir(name: str) -> str | None:
    for path in (files.get_abs_path(USER_DIR, PLUGINS_DIR, name), files.get_abs_path(PLUGINS_DIR, name)):
        if files.exists(path):
            return path
    return None


def get_enabled_plugins(agent: Any) -> list[str]:
    if cached := cache.get(ENABLED_PLUGINS_LIST_CACHE_AREA, cache.determine_cache_key(agent)):
        return cached
    found = [name for name in get_plugins_list() if not files.exists(find_plugin_dir(name) or "", OFF)]
    cache.add(ENABLED_PLUGINS_LIST_CACHE_AREA, cache.determine_cache_key(agent), found)
    return found


def get_enabled_plugin_paths(agent: Any, *subpaths: str) -> list[str]:
    """Their folders, or what of ``subpaths`` is in them; an empty answer is not taken from the cache."""
    key = cache.determine_cache_key(agent, *subpaths)
    if cached := cache.get(ENABLED_PLUGINS_PATHS_CACHE_AREA, key):
        return cached
    paths: list[str] = []
    for name in get_enabled_plugins(agent):
        folder = find_plugin_dir(name)
        if folder and not subpaths:
            paths.append(folder)
        elif folder:
            paths.extend(files.find_existing_paths_by_pattern(files.get_abs_path(folder, *subpaths)))
    cache.add(ENABLED_PLUGINS_PATHS_CACHE_AREA, key, paths)
    return paths
