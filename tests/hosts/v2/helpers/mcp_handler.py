"""Tools of MCP servers, which here are plain functions."""

import threading
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Callable

from helpers.defer import DeferredTask
from helpers.llm_result import original_tool_name
from helpers.tool import Response, Tool


class MCPTool(Tool):
    async def execute(self, **kwargs: Any) -> Response:
        try:
            answer = await MCPConfig.get_for_agent(self.agent).call_tool(self.name, kwargs)
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

    async def _run_isolated_operation(self, operation: Callable[[], Any]) -> Any:
        worker = DeferredTask(thread_name=f"MCPClient-{self.server.name}")
        return await worker.start_task(operation).result()

    async def _execute_with_session(self, coro_func: Callable[[Session], Any], read_timeout_seconds=60) -> Any:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session(self.functions))
            return await coro_func(session)

    async def update_tools(self) -> "MCPClientBase":
        async def list_tools_op(current_session: Session) -> None:
            offered = await current_session.list_tools()
            with self.__lock:
                self.tools = offered

        await self._run_isolated_operation(lambda: self._execute_with_session(list_tools_op))
        return self

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        if not self.has_tool(tool_name):
            await self.update_tools()

        async def call_tool_op(current_session: Session) -> str:
            return await current_session.call_tool(tool_name, input_data)

        return await self._run_isolated_operation(lambda: self._execute_with_session(call_tool_op, read_timeout_seconds=120))


class MCPServer:
    def __init__(self, name: str, tools: dict[str, Callable[[dict], str]]):
        self.name, self.client = name, MCPClientBase(self, tools)
        self.disabled_tools: list[str] = []

    def has_tool(self, tool_name: str) -> bool:
        if tool_name in self.disabled_tools:
            return False
        return self.client.has_tool(tool_name)


def _split_qualified_tool_name(tool_name: str) -> tuple[str, str]:
    server, _, tool = tool_name.partition(".")
    if not server or not tool:
        raise ValueError(f"{tool_name} was not found on any server")
    return server, tool


class MCPConfig:
    __lock = threading.RLock()
    __instance: "MCPConfig | None" = None
    __project_instances: dict[str, "MCPConfig"] = {}

    def __init__(self, servers_list: list[MCPServer]):
        self.servers = servers_list

    @classmethod
    def get_instance(cls) -> "MCPConfig":
        if cls.__instance is None:
            cls.__instance = cls(servers_list=[])
        return cls.__instance

    @classmethod
    def get_for_agent(cls, agent: Any) -> "MCPConfig":
        project = agent.context.get_data("project")
        return cls.get_project_instance(project) if project else cls.get_instance()

    @classmethod
    def get_project_instance(cls, project: str) -> "MCPConfig":
        with cls.__lock:
            if project not in cls.__project_instances:
                cls.__project_instances[project] = cls(servers_list=[])
            return cls.__project_instances[project]

    @classmethod
    def clear_project_instances(cls) -> None:
        with cls.__lock:
            cls.__project_instances = {}

    def has_tool(self, tool_name: str) -> bool:
        try:
            owner, short = _split_qualified_tool_name(tool_name)
        except ValueError:
            return False
        with self.__lock:
            for server in self.servers:
                if server.name == owner:
                    return server.has_tool(short)
            return False

    def get_tool(self, agent: Any, tool_name: str) -> MCPTool | None:
        own = MCPConfig.get_for_agent(agent)
        if own is not self:
            return own.get_tool(agent, tool_name)
        if not self.has_tool(tool_name):
            tool_name = original_tool_name(tool_name, agent.get_data(agent.DATA_NAME_RESPONSES_TOOL_NAME_MAP))
            if not self.has_tool(tool_name):
                return None
        return MCPTool(agent, tool_name, method=None, args={}, message="", loop_data=None)

    async def call_tool(self, tool_name: str, input_data: dict[str, Any]) -> str:
        owner, short = _split_qualified_tool_name(tool_name)
        for server in self.servers:
            if server.name == owner and server.has_tool(short):
                return await server.client.call_tool(short, input_data)
        raise ValueError(f"{tool_name} was not found on any server")
