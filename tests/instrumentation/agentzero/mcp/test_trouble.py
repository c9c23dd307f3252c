"""`mcp-keep` when something goes wrong: crashes, hangs, cancelled calls, servers that died meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

pytest.importorskip("mcp.client.stdio")
pytest.importorskip("mcp.client.streamable_http")

from tests import mcp_host
from tests.mcp_sessions import Diary, feature, outcome, pid_of, sessions_of, soon, until

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize("how", ["raises", "gives up"])
def test_an_operation_that_goes_wrong_ends_its_session(diary, how):
    """Whatever it left behind in the session, the next operation does not find it."""
    client = mcp_host.Client(diary.server())

    async def operation(session: Any) -> str:
        if how == "raises":
            await session.call_tool("count", {})
            raise LookupError("in the host")
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(session.call_tool("hang", {}), 0.3)
        return "given up"

    with feature("keep"):
        first = pid_of(asyncio.run(client.call_tool("count")))
        told = asyncio.run(outcome(client._execute_with_session(operation)))
        assert ("in the host" if how == "raises" else "given up") in told
        assert pid_of(asyncio.run(client.call_tool("count"))) != first
        until(lambda: first not in diary.running())


def test_a_session_of_a_former_configuration_is_not_used_before_it_is_closed(diary):
    client = mcp_host.Client(diary.server())
    with feature("keep") as probe:
        first = pid_of(asyncio.run(client.call_tool("count")))
        for connection in sessions_of(probe).connections:
            connection.retired = True
        assert pid_of(asyncio.run(client.call_tool("count"))) != first


def test_what_belongs_to_the_turn_that_opened_it_does_not_live_on_with_the_session(diary):
    client = mcp_host.Client(diary.server())
    variable: ContextVar[Any] = ContextVar("of_the_turn")

    class Turn:
        pass

    async def call() -> weakref.ref[Turn]:
        turn = Turn()
        variable.set(turn)
        await client.call_tool("count")
        return weakref.ref(turn)

    with feature("keep") as probe:
        turn = asyncio.run(call())
        until(lambda: any(each.idle for each in sessions_of(probe).connections))
        gc.collect()
        assert turn() is None


def test_of_several_the_one_used_last_is_used_again(diary):
    """The others, opened for calls at the same time, can go idle."""
    client = mcp_host.Client(diary.server())

    async def both() -> list[str]:
        return await asyncio.gather(client.call_tool("meet"), client.call_tool("meet"))

    with feature("keep") as probe:
        asyncio.run(both())
        until(lambda: sum(each.idle for each in sessions_of(probe).connections) == 2)
        last = max(sessions_of(probe).connections, key=lambda each: each.idle_since)
        answers = [pid_of(asyncio.run(client.call_tool("count"))) for _ in range(2)]
        assert answers == [last.process.pid] * 2


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
