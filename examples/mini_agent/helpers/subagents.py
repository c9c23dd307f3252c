"""Where an agent's files are looked for: its profile, the user's folder, the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers import cache, files

if TYPE_CHECKING:
    from agent import Agent

PATHS_CACHE_AREA = "agent_paths"
USER_DIR = "usr"
AGENTS_DIR = "agents"


def places(
    agent: Agent | None,
    *subpaths: str,
    must_exist_completely: bool = True,
    include_user: bool = True,
    include_default: bool = True,
    default_root: str = "",
) -> list[str]:
    """Return the absolute paths of `subpaths` in every place that has them, the most specific first.

    The places are usr/agents/<profile>, agents/<profile>, usr and `default_root`.
    """
    flags = (must_exist_completely, include_user, include_default, default_root)
    cache_key = cache.determine_cache_key(agent, *subpaths, *flags)
    cached: list[str] | None = cache.get(PATHS_CACHE_AREA, cache_key)
    if cached is not None:
        return cached

    roots: list[tuple[str, ...]] = []
    if agent and agent.config.profile:
        roots += [(USER_DIR, AGENTS_DIR, agent.config.profile), (AGENTS_DIR, agent.config.profile)]
    if include_user:
        roots.append((USER_DIR,))
    if include_default:
        roots.append((default_root,))

    paths = [files.get_abs_path(*root, *subpaths) for root in roots]
    if must_exist_completely:
        paths = [path for path in paths if files.exists(path)]
    cache.add(PATHS_CACHE_AREA, cache_key, data=paths)
    return paths
