"""Where an agent's files may lie: its project, its profile, the user's folder, the default."""

from typing import TYPE_CHECKING

from helpers import cache, files, plugins

if TYPE_CHECKING:
    from agent import Agent

USER_DIR = "usr"
DEFAULT_AGENTS_DIR = "agents"
USER_AGENTS_DIR = "usr/agents"
PATHS_CACHE_AREA = "subagent_paths(plugins)"
cache.toggle_area(PATHS_CACHE_AREA, False)


def get_paths(
    agent: "Agent|None",
    *subpaths: str,
    must_exist_completely: bool = True,
    include_project: bool = True,
    include_user: bool = True,
    include_default: bool = True,
    include_plugins: bool = True,
    default_root: str = "",
) -> list[str]:
    """Existing paths, the most specific first: the disk is asked every time, for the area is switched off."""
    from helpers import projects

    flags = (must_exist_completely, include_project, include_user, include_default, include_plugins)
    key = cache.determine_cache_key(agent, *subpaths, *flags, default_root)
    if (known := cache.get(PATHS_CACHE_AREA, key)) is not None:
        return known
    profile = agent.config.profile if agent and agent.config.profile else ""
    project = (projects.get_context_project_name(agent.context) or "") if include_project and agent else ""
    roots: list[str] = []
    if project and profile:
        roots.append(projects.get_project_meta(project, "agents", profile))
    if project:
        roots.append(projects.get_project_meta(project))
    if profile:
        roots.append(files.get_abs_path(USER_AGENTS_DIR, profile))
        if include_plugins:
            roots += plugins.get_enabled_plugin_paths(agent, "agents", profile)
        roots.append(files.get_abs_path(DEFAULT_AGENTS_DIR, profile))
    if include_user:
        roots.append(files.get_abs_path(USER_DIR))
    if include_plugins:
        roots += plugins.get_enabled_plugin_paths(agent)
    if include_default:
        roots.append(files.get_abs_path(default_root))
    paths = [files.get_abs_path(root, *subpaths) for root in roots]
    paths = [path for path in paths if not must_exist_completely or files.exists(path)]
    cache.add(PATHS_CACHE_AREA, key, paths)
    return paths
