"""MCP tools: found by an index instead of a scan, their executions counted and traced like any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from autoperf.agentzero.executions import watch
from autoperf.agentzero.probe import Probe
from autoperf.errors import guarded
from autoperf.patching import Switch, expect_parameters

_KEPT_AS: Final = "_autoperf_index"


def lookup(probe: Probe) -> Callable[..., Any]:
    """For ``MCPConfig.get_tool(agent, tool_name)``, which the host asks before its own tools."""

    def get_tool(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        tool = wrapped(*args, **kwargs)
        with guarded("MCPConfig.get_tool"):
            probe.mcp_lookups += 1
            probe.mcp_found += tool is not None
            # The configuration of a project answers through the global one: watch once.
            if tool is not None and "execute" not in getattr(tool, "__dict__", ()):
                watch(probe, tool, getattr(tool, "name", ""), kind="extension")
        return tool

    return get_tool


class _Index:
    __slots__ = ("length", "names", "tools")

    def __init__(self, tools: list[Any]) -> None:
        self.tools = tools
        self.length = len(tools)
        self.names = frozenset(tool["name"] for tool in tools)


def has_tool(original: Callable[..., bool], switch: Switch) -> Callable[..., bool]:
    """For ``MCPClientBase.has_tool(tool_name)``, the scan inside ``has_tool`` of the configuration in effect.

    The index belongs to one client and to the very list it was made from: the host puts a new list there
    when a server's tools change. A list that has none of the shape expected is scanned by the host itself.
    """
    expect_parameters(original, "self", "tool_name")

    def has_tool(self: Any, tool_name: str) -> bool:
        if switch.on:
            tools = getattr(self, "tools", None)
            index: _Index | None = getattr(self, _KEPT_AS, None)
            if index is None or index.tools is not tools or index.length != len(index.tools):
                index = _index(self, tools)  # None: not a list of tools as we know them
            if index is not None:
                try:
                    return tool_name in index.names
                except TypeError:
                    pass
        return original(self, tool_name)

    return has_tool


def _index(client: Any, tools: Any) -> _Index | None:
    if type(tools) is not list:
        return None
    try:
        index = _Index(tools)
        # Not by assignment: a client may be a model that refuses attributes it does not know.
        vars(client)[_KEPT_AS] = index
    except (KeyError, TypeError, IndexError):
        return None
    return index
