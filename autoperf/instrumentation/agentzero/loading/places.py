"""Where the file of a tool of a given name may lie, below the host's folder."""

from __future__ import annotations

import os
from glob import escape, glob
from typing import Any, Final

# One too many costs a look, one too few that a tool is read only when it is used.
_PLACES: Final = (
    "tools",
    "python/tools",
    "agents/{profile}/tools",
    "usr/tools",
    "usr/agents/{profile}/tools",
    "usr/projects/*/.a0proj/tools",
    "usr/projects/*/.a0proj/agents/{profile}/tools",
    "plugins/*/tools",
    "plugins/*/agents/{profile}/tools",
    "usr/plugins/*/tools",
    "usr/plugins/*/agents/{profile}/tools",
)


def tool_files(root: str, name: str, profile: str | None) -> list[str]:
    """The files that ``name`` may mean for an agent with that profile, or any (None); nothing is read."""
    found: list[str] = []
    for place in _PLACES:
        folder = os.path.join(escape(root), place.format(profile="*" if profile is None else escape(profile)))
        found += glob(os.path.join(folder, f"{escape(name)}.py"))
    return found


def profile_of(agent: Any) -> str:
    """The name of the agent's profile, or nothing."""
    return str(getattr(getattr(agent, "config", None), "profile", "") or "")


def extension_files(root: str, point: str) -> list[str]:
    """The files that may belong to an extension point, whatever the agent; nothing is read."""
    found: list[str] = []
    for place in _PLACES:
        above = place.removesuffix("tools").format(profile="*")
        for below in ("extensions", "extensions/python"):
            found += glob(os.path.join(escape(root), above, below, escape(point), "*.py"))
    return found
