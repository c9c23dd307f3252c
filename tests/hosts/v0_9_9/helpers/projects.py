"""Projects: a folder below usr/projects that a chat may be bound to."""

from typing import Any

from helpers import files

PROJECTS_PARENT_DIR = "usr/projects"
PROJECT_META_DIR = ".a0proj"
CONTEXT_DATA_KEY_PROJECT = "project"


def get_project_meta(name: str, *sub_dirs: str) -> str:
    return files.get_abs_path(PROJECTS_PARENT_DIR, name, PROJECT_META_DIR, *sub_dirs)


def get_context_project_name(context: Any) -> str | None:
    project: str | None = context.get_data(CONTEXT_DATA_KEY_PROJECT)
    return project
