"""Tools that come from a server instead of a file; the one server here lives in this process."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from helpers.errors import RepairableException
from helpers.tool import Response, Tool


class MCPTool(Tool):
    """A call that is passed on to the server which offers the tool."""

    async def execute(self, **kwargs: Any) -> Response:
        """Ask the server; its errors are told to the model."""
        try:
            answer = await MCPConfig.get_for_agent(self.agent).call_tool(self.name, kwargs)
        except (TypeError, ValueError) as error:
            raise RepairableException(f"MCP tool '{self.name}' failed: {error}") from error
        return Response(message=answer, break_loop=False)


class ClientSession:
    """What is said to a server between opening and closing."""

    def __init__(self, functions: dict[str, Callable[..., str]]) -> None:
        self._functions = functions

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> str:
        """Return the tool's answer."""
        return self._functions[name](**arguments)


class MCPClientBase:
    """What one server offers, as it said when asked; a real one would be another process behind a pipe."""

    def __init__(self, server: MCPServerLocal, functions: dict[str, Callable[..., str]]) -> None:
        self.server = server
        self._functions = functions
        self.tools = [{"name": name, "description": func.__doc__ or ""} for name, func in functions.items()]

    def has_tool(self, tool_name: str) -> bool:
        """Say whether the server offers the tool."""
        return any(tool["name"] == tool_name for tool in self.tools)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientSession]:
        yield ClientSession(self._functions)

    async def _execute_with_session(self, coro_func: Callable[[ClientSession], Awaitable[str]]) -> str:
        """Open a session, do one thing in it, and close it."""
        async with self._connected() as session:
            return await coro_func(session)

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        """Return the tool's answer."""

        async def call_tool_op(session: ClientSession) -> str:
            return await session.call_tool(tool_name, input_data)

        return await self._execute_with_session(call_tool_op)


class MCPServerLocal:
    """A configured server and the client that speaks to it."""

    def __init__(self, name: str, functions: dict[str, Callable[..., str]]) -> None:
        self.name = name
        self._client = MCPClientBase(self, functions)

    def get_tools(self) -> list[dict[str, Any]]:
        """Return name and description of each tool."""
        return self._client.tools

    def has_tool(self, tool_name: str) -> bool:
        """Say whether the server offers the tool."""
        return self._client.has_tool(tool_name)

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        """Return the tool's answer."""
        return await self._client.call_tool(tool_name, input_data)


class MCPConfig:
    """The servers in effect; tools are named `server.tool`."""

    __lock = threading.Lock()
    __instance: MCPConfig | None = None

    def __init__(self, servers: list[MCPServerLocal]) -> None:
        self.servers = servers

    @classmethod
    def get_instance(cls) -> MCPConfig:
        """Return the configuration of the whole program, an empty one if there is none yet."""
        with cls.__lock:
            if cls.__instance is None:
                cls.__instance = cls([])
            return cls.__instance

    @classmethod
    def get_for_agent(cls, agent: Any) -> MCPConfig:
        """Return the configuration for an agent: where chats have projects, each may have its own."""
        return cls.get_instance()

    @classmethod
    def update(cls, servers: list[MCPServerLocal]) -> MCPConfig:
        """Replace the servers of the whole program."""
        instance = cls.get_instance()
        with cls.__lock:
            instance.servers = list(servers)
        return instance

    def get_tools(self) -> list[dict[str, Any]]:
        """Return the tools of all servers under their full names."""
        return [{**tool, "name": f"{s.name}.{tool['name']}"} for s in self.servers for tool in s.get_tools()]

    def has_tool(self, tool_name: str) -> bool:
        """Say whether any server offers the tool."""
        server_name, _, name = tool_name.partition(".")
        with self.__lock:
            return any(server.name == server_name and server.has_tool(name) for server in self.servers)

    def get_tool(self, agent: Any, tool_name: str) -> MCPTool | None:
        """Return the tool, ready to be executed, or None if no server offers it."""
        effective = MCPConfig.get_for_agent(agent)
        if effective is not self:
            return effective.get_tool(agent, tool_name)
        if not self.has_tool(tool_name):
            return None
        return MCPTool(agent, tool_name, method=None, args={}, message="", loop_data=None)

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        """Pass a call on to its server; raise ValueError if no server offers the tool."""
        server_name, _, name = tool_name.partition(".")
        for server in self.servers:
            if server.name == server_name and server.has_tool(name):
                return await server.call_tool(name, input_data)
        raise ValueError(f"no server offers '{tool_name}'")
