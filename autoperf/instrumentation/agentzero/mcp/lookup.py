"""MCP tools: found by an index instead of a scan, executed like any other, their sessions traced."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from types import FunctionType
from typing import Any, Final, NamedTuple

from autoperf.errors import class_name, guarded
from autoperf.errors.fence import MISS, Shortcut, fenced
from autoperf.errors.switch import ALWAYS
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing.tool_execution import current_outcome, watch
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_names, expect_parameters
from autoperf.telemetry import names
from autoperf.telemetry.redaction import short

# The host names its operations by their functions; what they close over is told from the parameter's name.
_METHODS: Final = {"call_tool_op": names.MCP_TOOLS_CALL, "list_tools_op": names.MCP_TOOLS_LIST}
_TOOL: Final = "tool_name"
# All that the host's scan asks for, v0.8.5 - v2.6.
ASKED: Final = frozenset({"tools", "__lock"})


def lookup(probe: Probe) -> Callable[..., Any]:
    """For ``MCPConfig.get_tool(agent, tool_name)``, which the host asks before its own tools."""

    def get_tool(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        tool = wrapped(*args, **kwargs)
        with guarded("MCPConfig.get_tool"):
            probe.mcp_lookups += 1
            probe.mcp_found += tool is not None
            # The configuration of a project answers through the global one: watch once.
            if tool is not None:
                name = short(getattr(tool, "name", ""))
                watch(probe, tool, name, kind="extension", server=name.partition(".")[0])
        return tool

    return get_tool


class _Operation(NamedTuple):
    """What one session is opened for; ``method`` is empty where it is none that we know."""

    server: dict[str, Any]
    method: str
    tool: str | None

    @classmethod
    def of(cls, client: Any, function: FunctionType) -> _Operation:
        server = {names.MCP_SERVER: short(getattr(getattr(client, "server", None), "name", ""))}
        method = _METHODS.get(function.__name__, "")
        tool = None
        if method == names.MCP_TOOLS_CALL:
            tool = short(inspect.getclosurevars(function).nonlocals.get(_TOOL, ""))
        return cls(server, method, tool)

    def attributes(self) -> dict[str, Any]:
        tool = {} if self.tool is None else {names.TOOL_NAME: self.tool}
        return {**self.server, names.MCP_METHOD: self.method, **tool}

    def failed(self, kind: str) -> None:
        """The host tells the model of a failed call, and the execution ends as if all were well."""
        outcome = current_outcome()
        if outcome is not None and self.method == names.MCP_TOOLS_CALL:
            outcome.error = kind


def session(probe: Probe) -> Callable[..., Any]:
    """For ``MCPClientBase._execute_with_session(coro_func, ...)``: one session, opened for one operation.

    The operation runs in the task that opened the session, so every span begins and ends in that one task.
    """

    async def execute(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        function = kwargs.get("coro_func", args[0] if args else None)
        if not isinstance(function, FunctionType):
            return await wrapped(*args, **kwargs)
        operation = _Operation({}, "", None)
        with guarded("_execute_with_session"):
            operation = _Operation.of(instance, function)
        with probe.span(names.MCP_SESSION, operation.server), ExitStack() as connecting:
            connecting.enter_context(probe.span(names.MCP_CONNECT, operation.server))
            observed = _observed(probe, function, operation, connecting)
            if "coro_func" in kwargs:
                kwargs = {**kwargs, "coro_func": observed}
            else:
                args = (observed, *args[1:])
            try:
                return await wrapped(*args, **kwargs)
            except Exception as error:
                operation.failed(class_name(error))
                raise

    return execute


def _observed(
    probe: Probe, function: Callable[..., Awaitable[Any]], operation: _Operation, connecting: ExitStack
) -> Callable[..., Awaitable[Any]]:
    async def observed(call: Any, /, *args: Any, **kwargs: Any) -> Any:
        connecting.close()
        if not operation.method:
            return await call(*args, **kwargs)
        label = f"{operation.method} {operation.tool or ''}".rstrip()
        with probe.span(label, operation.attributes(), names.CLIENT) as span:
            result = await call(*args, **kwargs)
            if getattr(result, "isError", None) is True:
                span.set(names.ERROR_TYPE, names.MCP_TOOL_ERROR)
                operation.failed(names.MCP_TOOL_ERROR)
            return result

    # Under the function's own name, which the host prints.
    return functools.wraps(function)(fenced("_execute_with_session", function, ALWAYS, observed))


class _Index:
    __slots__ = ("length", "names", "tools")

    def __init__(self, tools: list[Any]) -> None:
        self.tools = tools
        self.length = len(tools)
        self.names = frozenset(tool["name"] for tool in tools)


class _Indices:
    """The index of each client, beside it: nothing is put on an object of the host's.

    By id, because a client need not have a hash; it goes with its client.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Any], _Index]] = {}

    def get(self, client: Any) -> _Index | None:
        """The index of ``client``, if it has one."""
        found = self._kept.get(id(client))
        return found[1] if found is not None and found[0]() is client else None

    def put(self, client: Any, index: _Index) -> None:
        """Keep ``index`` as long as ``client``; one that cannot be held weakly has none."""
        number = id(client)
        with suppress(TypeError):
            self._kept[number] = weakref.ref(client, lambda _: self._kept.pop(number, None)), index


_indices: Final = _Indices()


def has_tool(original: Callable[..., bool], switch: Switch) -> Shortcut:
    """For ``MCPClientBase.has_tool(tool_name)``, the scan inside ``has_tool`` of the configuration in effect.

    The index belongs to one client and to the very list it was made from: the host puts a new list there
    when a server's tools change. A list that has none of the shape expected is scanned by the host itself.
    """
    expect_parameters(original, "self", "tool_name")
    expect_names(original, ASKED)

    def has_tool(self: Any, tool_name: str) -> Any:
        tools = getattr(self, "tools", None)
        index = _indices.get(self)
        if index is None or index.tools is not tools or index.length != len(index.tools):
            index = _index(self, tools)  # None: not a list of tools as we know them
        if index is not None:
            try:
                return tool_name in index.names
            except TypeError:
                return MISS
        if tools is not None:
            switch.stand_aside("the tools of a server are no list of dictionaries with names")
        return MISS

    return Shortcut(has_tool)


def _index(client: Any, tools: Any) -> _Index | None:
    if type(tools) is not list:
        return None
    try:
        index = _Index(tools)
    except (KeyError, TypeError, IndexError):
        return None
    _indices.put(client, index)
    return index
