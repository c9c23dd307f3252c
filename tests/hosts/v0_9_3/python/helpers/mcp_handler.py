"""Tools of MCP servers, which here are plain functions."""

import threading
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Callable

from python.helpers.tool import Response, Tool


class MCPTool(Tool):
    async def execute(self, **kwargs: Any) -> Response:
        try:
            answer = await MCPConfig.get_instance().call_tool(self.name, kwargs)
        except Exception as e:
            answer = f"ERROR: {e}"
            self.agent.context.log.log(type="warning", content=f"{self.name}: {answer}")
        return Response(message=answer, break_loop=False)


class Session:
    """What is said to a server between opening it and closing it."""

    def __init__(self, functions: dict[str, Callable[[dict], str]]):
        self.functions = functions

    async def list_tools(self) -> list[dict[str, Any]]:
        return [{"name": name, "description": ""} for name in self.functions]

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        return self.functions[tool_name](input_data)


@asynccontextmanager
async def open_session(functions: dict[str, Callable[[dict], str]]):
    yield Session(functions)


class MCPClientBase:
    """What a server said it offers; a refresh puts a new list there. Every operation has a session of its own."""

    __lock = threading.Lock()

    def __init__(self, server: "MCPServer", functions: dict[str, Callable[[dict], str]]):
        self.server, self.functions = server, functions
        self.tools: list[dict[str, Any]] = [{"name": name, "description": ""} for name in functions]

    def has_tool(self, tool_name: str) -> bool:
        with self.__lock:
            return any(tool["name"] == tool_name for tool in self.tools)

    def refresh(self, functions: dict[str, Callable[[dict], str]]) -> None:
        with self.__lock:
            self.functions = functions
            self.tools = [{"name": name, "description": ""} for name in functions]

    async def _execute_with_session(self, coro_func: Callable[[Session], Any], read_timeout_seconds=60) -> Any:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session(self.functions))
            return await coro_func(session)

    async def update_tools(self) -> "MCPClientBase":
        async def list_tools_op(current_session: Session) -> None:
            offered = await current_session.list_tools()
            with self.__lock:
                self.tools = offered

        await self._execute_with_session(list_tools_op)
        return self

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        if not self.has_tool(tool_name):
            await self.update_tools()

        async def call_tool_op(current_session: Session) -> str:
            return await current_session.call_tool(tool_name, input_data)

        return await self._execute_with_session(call_tool_op)


class MCPServer:
    def __init__(self, name: str, tools: dict[str, Callable[[dict], str]]):
        self.name, self.client = name, MCPClientBase(self, tools)

    def has_tool(self, tool_name: str) -> bool:
        return self.client.has_tool(tool_name)


class MCPConfig:
    __lock = threading.Lock()
    __instance: "MCPConfig | None" = None

    def __init__(self, servers_list: list[MCPServer]):
        self.servers = servers_list

    @classmethod
    def get_instance(cls) -> "MCPConfig":
        if cls.__instance is None:
            cls.__instance = cls(servers_list=[])
        return cls.__instance

    def has_tool(self, tool_name: str) -> bool:
        if "." not in tool_name:
            return False
        owner, short = tool_name.split(".")  # more than one dot is an error, as in the host
        with self.__lock:
            for server in self.servers:
                if server.name == owner:
                    return server.has_tool(short)
            return False

    def get_tool(self, agent: Any, tool_name: str) -> MCPTool | None:
        if not self.has_tool(tool_name):
            return None
        return MCPTool(agent, tool_name, method=None, args={}, message="", loop_data=None)

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        owner, short = tool_name.split(".")
        for server in self.servers:
            if server.name == owner and server.has_tool(short):
                return await server.client.call_tool(short, input_data)
        raise ValueError(f"{tool_name} was not found on any server")
