"""MCP sessions as spans: connecting, the call, the listing; failures that the host makes answers of."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.mcp import lookup
from autoperf.instrumentation.agentzero.tracing.tool_execution import watch
from autoperf.patching.patch import Switch, replacement, wrapping
from autoperf.telemetry import names
from tests.recording import Recording


class McpError(Exception):
    """Named as the protocol's."""


class Server:
    """What is asked of a server; ``trouble`` is raised where it says."""

    def __init__(self, trouble: dict[str, Exception] | None = None, *, answers_error: bool = False) -> None:
        self.trouble = trouble or {}
        self.answers_error = answers_error
        self.asked: list[Any] = []

    def meets(self, place: str) -> None:
        if place in self.trouble:
            raise self.trouble[place]

    @asynccontextmanager
    async def connected(self):
        self.meets("connect")
        task = asyncio.create_task(asyncio.sleep(60))  # as a transport has one that reads
        try:
            yield self
        finally:
            task.cancel()

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((name, arguments))
        await asyncio.sleep(0)
        self.meets("call")
        return SimpleNamespace(content="text", isError=self.answers_error)

    async def list_tools(self) -> list[str]:
        self.meets("list")
        return ["a"]


class SessionClient:
    """A client in the host's shape: one session for one operation, named by the operation's function."""

    def __init__(self, server: Server) -> None:
        self.server = SimpleNamespace(name="srv")
        self.remote = server
        self.operations: list[str] = []

    async def _execute_with_session(self, coro_func: Any, read_timeout_seconds: float = 60) -> Any:
        self.operations.append(coro_func.__name__)
        original = None
        try:
            async with AsyncExitStack() as stack:
                try:
                    session = await stack.enter_async_context(self.remote.connected())
                    return await coro_func(session)
                except Exception as e:
                    original = e
                    raise RuntimeError("dummy") from None
        except Exception as error:
            raise original or error from None

    async def call_tool(self, tool_name: str, input_data: dict[str, Any], **how: Any) -> Any:
        async def call_tool_op(session: Any) -> Any:
            return await session.call_tool(tool_name, input_data)

        return await self._execute_with_session(call_tool_op, **how)

    async def update_tools(self) -> Any:
        async def list_tools_op(session: Any) -> Any:
            return await session.list_tools()

        return await self._execute_with_session(coro_func=list_tools_op)


@pytest.fixture
def tracing() -> Recording:
    return Recording()


@pytest.fixture
def client(tracing, monkeypatch):
    """Makes a client of a server, with its sessions traced."""
    build = wrapping(lookup.session(Probe(tracing)))
    patched = replacement(SessionClient._execute_with_session, build, Switch())
    monkeypatch.setattr(SessionClient, "_execute_with_session", patched)
    return SessionClient


def test_a_call_is_a_session_that_connects_and_then_asks(client, tracing):
    server = Server()
    made = client(server)
    assert asyncio.run(made.call_tool("one", {"secret": "x"}, read_timeout_seconds=3)).content == "text"
    assert server.asked == [("one", {"secret": "x"})]
    assert made.operations == ["call_tool_op"], "the host prints this name"
    assert tracing.order == [
        "+mcp_session",
        "+mcp_connect",
        "-mcp_connect",
        "+tools/call one",
        "-tools/call one",
        "-mcp_session",
    ]
    session, connect, call = (attributes for _, attributes in tracing.opened)
    assert session == connect == {names.MCP_SERVER: "srv"}
    assert call == {names.MCP_SERVER: "srv", names.MCP_METHOD: "tools/call", names.TOOL_NAME: "one"}


def test_a_listing_is_one_too(client, tracing):
    assert asyncio.run(client(Server()).update_tools()) == ["a"]
    assert [name for name, _ in tracing.opened] == ["mcp_session", "mcp_connect", "tools/list"]
    assert tracing.opened[2][1] == {names.MCP_SERVER: "srv", names.MCP_METHOD: "tools/list"}


@pytest.mark.parametrize(
    ("place", "failed", "kept"),
    [
        ("connect", ["mcp_connect", "mcp_session"], []),
        ("call", ["tools/call one", "mcp_session"], ["-mcp_connect"]),
    ],
)
def test_a_failure_is_on_the_spans_it_happened_in(client, tracing, place, failed, kept):
    error = McpError("refused")

    async def run() -> None:
        with pytest.raises(McpError) as caught:
            await client(Server({place: error})).call_tool("one", {})
        assert caught.value is error

    asyncio.run(run())
    ends = [entry for entry in tracing.order if entry[0] in "!-"]
    assert ends == [*kept, *(f"!{name} McpError" for name in failed)]


class RemoteTool:
    """As the host's: a failure becomes an answer; ``thread`` runs the call on a loop of its own, as v2.6."""

    name = "srv.one"

    def __init__(self, client: Any, *, thread: bool) -> None:
        self.client, self.thread = client, thread

    async def execute(self) -> str:
        try:
            if not self.thread:
                result = await self.client.call_tool("one", {})
            else:
                loop = asyncio.new_event_loop()
                worker = threading.Thread(target=loop.run_forever)
                worker.start()
                try:
                    future = asyncio.run_coroutine_threadsafe(self.client.call_tool("one", {}), loop)
                    result = await asyncio.wrap_future(future)
                finally:
                    loop.call_soon_threadsafe(loop.stop)
                    worker.join()
                    loop.close()
            return str(result.content)
        except Exception as error:
            return f"ERROR: {error}"


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (Server({"connect": ConnectionError("x")}), "ConnectionError"),
        (Server({"call": McpError("x")}), "tests.instrumentation.agentzero.mcp.test_pool.McpError"),
        (Server(answers_error=True), "tool_error"),
        (Server(), None),
    ],
    ids=["connect", "call", "answer", "fine"],
)
def test_what_the_host_made_an_answer_of_is_an_error_of_the_tool(client, tracing, server, kind, thread):
    probe = Probe(tracing)
    tool = RemoteTool(client(server), thread=thread)
    watch(probe, tool, tool.name, kind="extension", server="srv")
    answer = asyncio.run(tool.execute())
    assert answer.startswith("ERROR") == (kind not in (None, "tool_error"))
    (attributes,) = (given for name, given in tracing.opened if name == "execute_tool srv.one")
    assert attributes.get(names.ERROR_TYPE) == kind
    calls = [given.get(names.ERROR_TYPE) for name, given in tracing.opened if name == "tools/call one"]
    assert calls == ([] if kind == "ConnectionError" else [kind if kind == "tool_error" else None])
    (row,) = probe.tools.as_rows()
    assert row["errors"] == (kind is not None)


def test_a_listing_that_fails_is_no_error_of_the_tool(client, tracing):
    class Refreshing(RemoteTool):
        async def execute(self) -> str:
            try:
                await self.client.update_tools()
            except McpError:
                return "went on"
            return "listed"

    probe = Probe(tracing)
    tool = Refreshing(client(Server({"list": McpError("x")})), thread=False)
    watch(probe, tool, tool.name, kind="extension")
    assert asyncio.run(tool.execute()) == "went on"
    assert probe.tools.as_rows()[0]["errors"] == 0


def test_an_operation_that_we_do_not_know_only_has_its_session(client, tracing):
    async def ping_op(session: Any) -> str:
        return "pong"

    assert asyncio.run(client(Server())._execute_with_session(ping_op)) == "pong"
    assert [name for name, _ in tracing.opened] == ["mcp_session", "mcp_connect"]
    assert tracing.order[-2:] == ["-mcp_connect", "-mcp_session"]


def test_what_is_no_function_is_handed_on_untouched(client, tracing):
    class Operation:
        __name__ = "call_tool_op"

        async def __call__(self, session: Any) -> str:
            return "called"

    operation = Operation()
    assert asyncio.run(client(Server())._execute_with_session(operation)) == "called"
    assert tracing.opened == []


def test_a_cancelled_call_ends_all_its_spans(client, tracing):
    class Slow(Server):
        async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
            called.set()
            await asyncio.sleep(60)

    called = asyncio.Event()

    async def run() -> None:
        task = asyncio.create_task(client(Slow()).call_tool("one", {}))
        await called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    ends = [entry for entry in tracing.order if entry[0] == "!"]
    assert ends == ["!tools/call one CancelledError", "!mcp_session CancelledError"]
