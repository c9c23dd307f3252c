"""The name of a tool as it leaves the process or is kept: in spans, statistics, stalls, and what goes on."""

from __future__ import annotations

from typing import Any, Final

UNKNOWN: Final = "(unknown)"
_NAME_LENGTH: Final = 100


def shown_name(tool: Any, name: Any) -> str:
    """The name of ``tool`` as it goes into records and attributes; one that the model made up does not.

    It is a part of what the model said; the host answers it with a tool for unknown ones.
    """
    return UNKNOWN if tool is None or type(tool).__name__ == "Unknown" else short(name)


def short(name: Any) -> str:
    """A name as it goes into records and attributes: text, at most 100 characters."""
    return str(name)[:_NAME_LENGTH]
