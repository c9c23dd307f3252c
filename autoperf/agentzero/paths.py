"""Where an agent's tools and extensions may lie: worked out once, looked up every time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.patching import Switch, expect_parameters

_CANDIDATES_KEPT: Final = 1000
_ALL: Final = "must_exist_completely"
_FLAGS: Final = (_ALL, "include_project", "include_user", "include_default", "default_root")


def existing(original: Callable[..., list[str]], switch: Switch) -> Callable[..., list[str]]:
    """For ``get_paths(agent, *subpaths, ...)`` of v0.9.8, asked at every tool and extension call.

    The candidates depend on the agent's profile only; which of them exist is looked up at every call, as the
    host does. An agent with a project, and a call that does not ask for existing paths, go to the host.
    """
    expect_parameters(original, "agent", "subpaths", *_FLAGS)
    projects = f"{original.__module__.rpartition('.')[0]}.projects"
    candidates: dict[Any, tuple[str, ...] | None] = {}

    def paths_of(agent: Any, subpaths: tuple[str, ...], options: dict[str, Any]) -> list[str] | None:
        if _ALL in options or (agent and _has_project(agent, projects)):
            return None
        key = (agent and agent.config.profile, subpaths, *options.items())
        known = candidates.get(key)
        if known is None:
            if key in candidates or len(candidates) >= _CANDIDATES_KEPT:
                return None
            known = candidates[key] = _verified(original, agent, subpaths, options)
        return None if known is None else [path for path in known if os.path.exists(path)]

    def get_paths(agent: Any, *subpaths: Any, **options: Any) -> list[str]:
        found = None
        if switch.on:
            with guarded("get_paths"):
                found = paths_of(agent, subpaths, options)
        return original(agent, *subpaths, **options) if found is None else found

    return get_paths


def _verified(
    original: Callable[..., list[str]], agent: Any, subpaths: tuple[str, ...], options: dict[str, Any]
) -> tuple[str, ...] | None:
    # Once a key: what exists of the candidates must be what the host finds, or it is always asked.
    every = original(agent, *subpaths, must_exist_completely=False, **options)
    agrees = [path for path in every if os.path.exists(path)] == original(agent, *subpaths, **options)
    return tuple(every) if agrees else None


def _has_project(agent: Any, module: str) -> bool:
    projects = sys.modules.get(module)
    return projects is None or bool(projects.get_context_project_name(agent.context))
