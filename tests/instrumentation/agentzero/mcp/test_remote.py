"""Kept sessions with real servers of the mcp package: over stdio, server-sent events and streamable HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

pytest.importorskip("mcp.server.fastmcp")
pytest.importorskip("uvicorn")

from tests import mcp_host
from tests.mcp_sessions import SERVERS, feature, outcome, pid_of, sessions_of, soon, until

pytestmark = pytest.mark.slow

REAL = str(SERVERS / "real.py")
REMOTE = ("sse", "streamable-http")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers_at(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


@contextmanager
def serving(transport: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, REAL, transport, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: answers_at(port), 60)
        yield process
    finally:
        process.kill()
        process.wait()


def client_of(transport: str, port: int) -> mcp_host.Client:
    path = {"sse": "sse", "streamable-http": "mcp"}[transport]
    server = mcp_host.Server("real", url=f"http://127.0.0.1:{port}/{path}", type=transport)
    return mcp_host.Client(server)


async def tour(client: mcp_host.Client) -> list[str]:
    await client.update_tools()
    found = [str(client.tools)]
    for tool, given in (("echo", {"text": "a"}), ("fail", {"text": "b"}), ("echo", {})):
        found.append(await outcome(client.call_tool(tool, given)))
    client.timeout = 0.5
    found.append(await outcome(client.call_tool("hang")))
    client.timeout = 30
    found.append(await outcome(client.call_tool("echo", {"text": "c"})))
    return found


@pytest.mark.parametrize(
    ("name", "transport"),
    [("keep", "stdio"), ("standby", "stdio"), ("keep", "sse"), ("keep", "streamable-http")],
)
def test_results_and_errors_are_those_of_the_bare_host(transport, name):
    if transport == "stdio":
        client = mcp_host.Client(mcp_host.Server("real", command=sys.executable, args=[REAL, "stdio"]))
        found = _tours(client, name)
    else:
        port = free_port()
        with serving(transport, port):
            found = _tours(client_of(transport, port), name)
    assert found["bare"] == found[name]
    assert "Timed out" in found["bare"][4]


def _tours(client: mcp_host.Client, name: str) -> dict[str, list[str]]:
    found = {}
    for how in ("bare", name):
        with feature(how):
            found[how] = [re.sub(r"0x[0-9a-f]+", "0x", text) for text in asyncio.run(tour(client))]
    return found


@pytest.mark.parametrize("transport", REMOTE)
def test_a_session_is_kept(transport):
    port = free_port()
    with serving(transport, port), feature("keep") as probe:
        client = client_of(transport, port)
        for number in range(1, 4):
            assert asyncio.run(client.call_tool("count")).split()[1] == str(number)
        assert probe.memos["mcp sessions kept"].as_row()["hits"] == 2


@pytest.mark.parametrize("transport", REMOTE)
def test_a_server_that_was_started_anew_between_two_calls_is_no_error(transport):
    port = free_port()
    with feature("keep"):
        client = client_of(transport, port)
        with serving(transport, port):
            first = asyncio.run(client.call_tool("count"))
        with serving(transport, port):
            second = asyncio.run(client.call_tool("count"))
    assert pid_of(first) != pid_of(second)
    assert second.split()[1] == "1"


@pytest.mark.parametrize("transport", REMOTE)
def test_a_server_that_crashes_or_has_gone_is_the_error_it_is_bare(transport):
    found: dict[str, list[str]] = {}
    for how in ("bare", "keep"):
        port = free_port()
        with feature(how):
            client = client_of(transport, port)
            client.timeout = 3.0
            with serving(transport, port):
                asyncio.run(outcome(client.call_tool("count")))
                texts = [asyncio.run(outcome(client.call_tool("crash")))]
            texts.append(asyncio.run(outcome(client.call_tool("count"))))
        found[how] = [re.sub(r"0x[0-9a-f]+", "0x", text.replace(str(port), "PORT")) for text in texts]
    assert found["bare"] == found["keep"]


@pytest.mark.parametrize("transport", REMOTE)
def test_a_call_that_was_cancelled_leaves_the_session_usable(transport):
    async def calls() -> list[str]:
        first = await client.call_tool("count")
        task = asyncio.ensure_future(client.call_tool("hang"))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(lambda: any(connection.idle for connection in sessions.connections))
        return [first, await client.call_tool("count")]

    port = free_port()
    with serving(transport, port), feature("keep") as probe:
        sessions: Any = sessions_of(probe)
        client = client_of(transport, port)
        answers = asyncio.run(calls())
        assert [answer.split()[1] for answer in answers] == ["1", "2"]
        assert sessions.lookups.as_row()["misses"] == 1


@pytest.mark.parametrize("transport", REMOTE)
def test_a_server_that_hangs_between_calls_is_asked_for_a_new_session(transport, monkeypatch):
    monkeypatch.setattr("autoperf.instrumentation.agentzero.mcp.kept_sessions._PING_SECONDS", 0.3)
    port = free_port()
    with serving(transport, port) as server, feature("keep"):
        client = client_of(transport, port)
        asyncio.run(client.call_tool("count"))
        os.kill(server.pid, signal.SIGSTOP)

        async def call() -> str:
            task = asyncio.ensure_future(client.call_tool("count"))
            await asyncio.sleep(1)
            os.kill(server.pid, signal.SIGCONT)
            return await task

        assert asyncio.run(call()).split()[1] == "2"
