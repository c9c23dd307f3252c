"""Where an agent's files may lie: its project, its profile, the user's folder, the default."""

from typing import TYPE_CHECKING

from python.helpers import files

if TYPE_CHECKING:
    from agent import Agent

USER_DIR = "usr"
DEFAULT_AGENTS_DIR = "agents"
USER_AGENTS_DIR = "usr/agents"


def get_paths(
    agent: "Agent|None",
    *subpaths: str,
    must_exist_completely: bool = True,
    include_project: bool = True,
    include_user: bool = True,
    include_default: bool = True,
    default_root: str = "",
) -> list[str]:
    """Existing paths, the most specific first; the disk is asked every time."""
    from python.helpers import projects

    profile = agent.config.profile if agent and agent.config.profile else ""
    project = (projects.get_context_project_name(agent.context) or "") if include_project and agent else ""
    roots: list[str] = []
    if project and profile:
        roots.append(projects.get_project_meta_folder(project, "agents", profile))
    if project:
        roots.append(projects.get_project_meta_folder(project))
    if profile:
        roots += [
            files.get_abs_path(USER_AGENTS_DIR, profile),
            files.get_abs_path(DEFAULT_AGENTS_DIR, profile),
        ]
    if include_user:
        roots.append(files.get_abs_path(USER_DIR))
    if include_default:
        roots.append(files.get_abs_path(default_root))
    paths = [files.get_abs_path(root, *subpaths) for root in roots]
    return [path for path in paths if not must_exist_completely or files.exists(path)]
