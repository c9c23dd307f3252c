"""Tools of MCP servers, which here are plain functions."""

import threading
from typing import Any, Callable

from helpers.tool import Response, Tool


class MCPTool(Tool):
    async def execute(self, **kwargs: Any) -> Response:
        try:
            message = await MCPConfig.get_instance().call_tool(self.name, kwargs)
        except Exception as e:
            message = f"ERROR: {e}"
            self.agent.context.log.log(type="warning", content=f"{self.name}: {message}")
        return Response(message=message, break_loop=False)


class MCPClientBase:
    """What a server said it offers; a refresh puts a new list there."""

    __lock = threading.Lock()

    def __init__(self, functions: dict[str, Callable[[dict], str]]):
        self.functions = functions
        self.tools: list[dict[str, Any]] = [{"name": name, "description": ""} for name in functions]

    def has_tool(self, tool_name: str) -> bool:
        with self.__lock:
            for tool in self.tools:
                if tool["name"] == tool_name:
                    return True
        return False

    def update_tools(self, functions: dict[str, Callable[[dict], str]]) -> None:
        with self.__lock:
            self.functions = functions
            self.tools = [{"name": name, "description": ""} for name in functions]


class MCPServer:
    def __init__(self, name: str, tools: dict[str, Callable[[dict], str]]):
        self.name, self.client = name, MCPClientBase(tools)

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
        server_name_part, tool_name_part = tool_name.split(
            "."
        )  # more than one dot is an error, as in the host
        with self.__lock:
            for server in self.servers:
                if server.name == server_name_part:
                    return server.has_tool(tool_name_part)
            return False

    def get_tool(self, agent: Any, tool_name: str) -> MCPTool | None:
        if not self.has_tool(tool_name):
            return None
        return MCPTool(agent=agent, name=tool_name, method=None, args={}, message="", loop_data=None)

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        server_name_part, tool_name_part = tool_name.split(".")
        for server in self.servers:
            if server.name == server_name_part and server.has_tool(tool_name_part):
                return server.client.functions[tool_name_part](input_data)
        raise ValueError(f"Tool {tool_name} not found")
