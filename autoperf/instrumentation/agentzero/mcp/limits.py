"""The bounds of MCP sessions that outlast a call or begin before it."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """``idle`` seconds unused until closed, ``sessions`` kept at once, ``standby`` bytes standing by."""

    idle: float = 300.0
    sessions: int = 8
    standby: int = 256 << 20
