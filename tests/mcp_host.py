"""The part of a host that speaks to MCP servers, in the shape of Agent Zero's, over the real mcp package."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from concurrent.futures import Future
from contextlib import AsyncExitStack
from datetime import timedelta
from shutil import which
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


class Server:
    """What is known of one server: plain fields, and the client beside them."""

    def __init__(self, name: str, **fields: Any) -> None:
        self.name = name
        self.command: str = fields.get("command", "")
        self.args: list[str] = list(fields.get("args", ()))
        self.env: dict[str, str] = dict(fields.get("env", {}))
        self.url: str = fields.get("url", "")
        self.type: str = fields.get("type", "stdio")

    def __repr__(self) -> str:
        return f"Server({self.name})"


class Client:
    """A session for every operation, in the loop of the caller; so to v1.7."""

    def __init__(self, server: Server, timeout: float = 30.0) -> None:
        self.server, self.timeout = server, timeout
        self.log_file: Any = None
        self.tools: list[str] = []

    async def _create_stdio_transport(self, current_exit_stack: AsyncExitStack) -> Any:
        server = self.server
        if server.url:
            connect = sse_client if server.type == "sse" else streamablehttp_client
            return (await current_exit_stack.enter_async_context(connect(server.url)))[:2]
        if not which(server.command):
            raise ValueError(f"no command {server.command!r}")
        parameters = StdioServerParameters(command=server.command, args=server.args, env=server.env)
        if self.log_file is None:
            self.log_file = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115
        return await current_exit_stack.enter_async_context(stdio_client(parameters, errlog=self.log_file))

    async def _execute_with_session(self, coro_func: Any, read_timeout_seconds: float = 60) -> Any:
        seen = None
        try:
            async with AsyncExitStack() as stack:
                try:
                    read, write = await self._create_stdio_transport(stack)
                    limit = timedelta(seconds=read_timeout_seconds)
                    session = ClientSession(read, write, read_timeout_seconds=limit)
                    session = await stack.enter_async_context(session)
                    await session.initialize()
                    return await coro_func(session)
                except Exception as error:
                    inner = getattr(error, "exceptions", None)
                    seen = inner[0] if inner else error
                    raise RuntimeError("to leave the stack") from None
        except Exception as error:
            raise seen if seen is not None else error from None

    async def _run(self, operation: Any) -> Any:
        return await operation()

    async def update_tools(self) -> None:
        async def list_tools_op(current_session: Any) -> None:
            self.tools = [tool.name for tool in (await current_session.list_tools()).tools]

        await self._run(lambda: self._execute_with_session(list_tools_op, read_timeout_seconds=self.timeout))

    async def call_tool(self, tool_name: str, input_data: dict[str, Any] | None = None) -> str:
        async def call_tool_op(current_session: Any) -> Any:
            limit = timedelta(seconds=self.timeout)
            return await current_session.call_tool(tool_name, input_data or {}, read_timeout_seconds=limit)

        try:
            result = await self._run(lambda: self._execute_with_session(call_tool_op))
        except Exception as error:
            raise ConnectionError(f"{tool_name} failed: {type(error).__name__}: {error}") from error
        return f"{'error: ' if result.isError else ''}{result.content[0].text}"

    def get_log(self) -> str:
        self.log_file.seek(0)
        return self.log_file.read()


class ThreadedClient(Client):
    """Every operation in a thread and a loop of its own, which are gone afterwards; so in v2.6."""

    async def _run(self, operation: Any) -> Any:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        future: Future[Any] = asyncio.run_coroutine_threadsafe(operation(), loop)
        try:
            return await asyncio.wrap_future(future)
        finally:
            asyncio.run_coroutine_threadsafe(_drained(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _drained() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Config:
    """The servers in effect, for all and for projects."""

    clients: dict[str, Client] = {}
    projects: dict[str, Config] = {}

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers

    @classmethod
    def update(cls, config_str: str) -> None:
        cls.clients = {}

    @classmethod
    def get_project_instance(cls, project_name: str) -> Config:
        return cls.projects[project_name]


def apply_settings(previous: Any) -> None:
    """Make changed settings act."""
