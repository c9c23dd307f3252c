"""`mcp-keep` when something goes wrong: crashes, hangs, cancelled calls, servers that died meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

pytest.importorskip("mcp.client.stdio")
pytest.importorskip("mcp.client.streamable_http")

from tests import mcp_host
from tests.mcp_sessions import Diary, feature, outcome, pid_of, sessions_of, soon, until

CLIENTS = pytest.mark.parametrize("kind", [mcp_host.Client, mcp_host.ThreadedClient])


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path)


def test_a_call_that_crashes_the_server_is_not_repeated(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> list[str]:
        first = await client.call_tool("count")
        client.timeout = 5.0
        await outcome(client.call_tool("crash"))
        return [first, await client.call_tool("count")]

    with feature("keep"):
        first, after = asyncio.run(calls())
    assert pid_of(first) != pid_of(after)
    assert len(diary.lines("tools/call crash")) == 1


@pytest.mark.parametrize("how", ["killed", "died"])
def test_a_server_that_died_while_it_was_kept_is_replaced(diary, how):
    client = mcp_host.Client(diary.server())

    async def calls() -> list[str]:
        first = await client.call_tool("count")
        if how == "killed":
            os.kill(pid_of(first), signal.SIGKILL)
        else:
            assert pid_of(await client.call_tool("farewell")) == pid_of(first)
        await soon(lambda: not diary.running())
        return [first, await client.call_tool("count")]

    with feature("keep"):
        first, after = asyncio.run(calls())
    assert pid_of(first) != pid_of(after)
    assert len(diary.lines("tools/call count")) == 2


def test_a_server_found_dead_between_the_greeting_and_the_call_is_replaced(diary, monkeypatch):
    client = mcp_host.Client(diary.server())
    killed = []

    async def first_kill_it(current_session: Any) -> Any:
        if not killed:
            killed.append(diary.running()[0])
            os.kill(killed[0], signal.SIGKILL)
            await asyncio.sleep(0.2)  # its end has been noticed
        return await current_session.call_tool("count", {})

    with feature("keep"):
        asyncio.run(client.call_tool("count"))
        result = asyncio.run(client._execute_with_session(first_kill_it))
        assert pid_of(result.content[0].text) != killed[0]
        assert len(diary.lines("tools/call")) == 2


def test_a_call_that_timed_out_ends_its_session(diary):
    client = mcp_host.Client(diary.server())
    with feature("keep"):
        first = pid_of(asyncio.run(client.call_tool("count")))
        client.timeout = 0.3
        assert "Timed out" in asyncio.run(outcome(client.call_tool("hang")))
        client.timeout = 30
        assert pid_of(asyncio.run(client.call_tool("count"))) != first
        until(lambda: first not in diary.running())


async def cancelled(client: Any, diary: Diary, tool: str) -> None:
    task = asyncio.ensure_future(client.call_tool(tool))
    await soon(lambda: diary.lines(f"tools/call {tool}"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@CLIENTS
def test_a_cancelled_call_is_cancelled_at_the_server_which_is_used_again(diary, kind):
    client = kind(diary.server())

    async def calls() -> list[str]:
        first = await client.call_tool("count")
        await cancelled(client, diary, "hang")
        await soon(lambda: diary.lines("ping"))
        await soon(lambda: any(connection.idle for connection in sessions_of(probe).connections))
        return [first, await client.call_tool("count")]

    with feature("keep") as probe:
        first, after = asyncio.run(calls())
    assert pid_of(first) == pid_of(after)
    numbers = [text.split()[-1] for _, text in diary.lines("notifications/cancelled")]
    assert len(numbers) == 1
    assert int(numbers[0]) > 0


def test_a_server_that_is_stuck_in_a_cancelled_call_does_not_hold_up_the_next(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> list[str]:
        first = await client.call_tool("count")
        await cancelled(client, diary, "busy")
        return [first, await client.call_tool("count")]

    with feature("keep"):
        first, after = asyncio.run(calls())
        assert pid_of(first) != pid_of(after)
        until(lambda: pid_of(first) not in diary.running())


def test_what_opening_raises_is_what_the_host_sees(diary):
    server = mcp_host.Server("none", command="no-such-command-anywhere")
    found = {}
    for name in ("bare", "keep", "standby"):
        with feature(name):
            found[name] = asyncio.run(outcome(mcp_host.Client(server).call_tool("count")))
    assert "no command" in found["bare"]
    assert found["keep"] == found["standby"] == found["bare"]


def test_where_no_thread_can_be_started_calls_go_as_bare(diary, monkeypatch):
    def refuse(self: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    client = mcp_host.Client(diary.server())
    with feature("keep") as probe:
        monkeypatch.setattr("threading.Thread.start", refuse)
        assert not sessions_of(probe).ready()
        monkeypatch.undo()
        sessions_of(probe).stopped = True
        answers = [asyncio.run(client.call_tool("count")) for _ in range(2)]
    assert len({pid_of(answer) for answer in answers}) == 2
