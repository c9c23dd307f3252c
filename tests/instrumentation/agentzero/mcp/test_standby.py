"""`mcp-standby` against real server processes: a fresh server for every call, started before it."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("mcp.client.stdio")

from autoperf.errors import failures
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.instrumentation.agentzero.mcp.operation import Visit
from autoperf.instrumentation.agentzero.mcp.standby import Standby, _Place
from autoperf.memo.counters import Lookups
from tests import mcp_host
from tests.mcp_sessions import Diary, feature, outcome, pid_of, sessions_of, soon, until

pytestmark = pytest.mark.slow

CLIENTS = pytest.mark.parametrize("kind", [mcp_host.Client, mcp_host.ThreadedClient])


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path)


def standing(probe: Any) -> list[Any]:
    sessions = sessions_of(probe)
    return [place.standing for place in list(sessions._places.values()) if place.standing is not None]


async def ready(probe: Any, count: int = 1) -> None:
    await soon(lambda: len(standing(probe)) == count)


@CLIENTS
def test_every_call_has_a_fresh_server_that_was_started_before(diary, kind):
    client = kind(diary.server())

    async def calls() -> list[str]:
        answers = []
        for _ in range(3):
            answers.append(await client.call_tool("count"))
            await ready(probe)
        return answers

    with feature("standby") as probe:
        answers = asyncio.run(calls())
        assert probe.memos["mcp servers standing by"].as_row()["hits"] == 2
    assert [answer.split()[1] for answer in answers] == ["1", "1", "1"]
    assert len({pid_of(answer) for answer in answers}) == 3
    assert len(diary.lines("initialize")) == len(diary.lines("begins")) == 4
    assert not diary.running()
    assert not failures.as_rows()


def test_the_next_server_starts_when_the_one_before_has_ended(diary):
    client = mcp_host.Client(diary.server("slow"))

    async def calls() -> None:
        for _ in range(3):  # with no time between them
            await client.call_tool("count")
        await ready(probe)

    with feature("standby") as probe:
        asyncio.run(calls())
    under_way: set[int] = set()
    for pid, _ in diary.lines("begins", "ends"):
        under_way ^= {pid}
        assert len(under_way) <= 1
    assert len(diary.lines("tools/call")) == 3


def test_calls_at_the_same_time_have_a_server_each(diary):
    client = mcp_host.Client(diary.server())

    async def both() -> list[str]:
        return await asyncio.gather(client.call_tool("meet"), client.call_tool("meet"))

    with feature("standby"):
        assert len({pid_of(answer) for answer in asyncio.run(both())}) == 2


@pytest.mark.parametrize("tool", ["crash", "hang", "refuse"])
def test_a_call_that_fails_is_not_repeated_and_the_next_goes_on(diary, tool):
    client = mcp_host.Client(diary.server())

    async def calls() -> list[str]:
        first = await client.call_tool("count")
        client.timeout = 3.0 if tool in ("hang", "crash") else 30
        assert "failed" in await outcome(client.call_tool(tool))
        client.timeout = 30
        return [first, await client.call_tool("count")]

    with feature("standby"):
        answers = asyncio.run(calls())
    assert len({pid_of(answer) for answer in answers}) == 2
    assert len(diary.lines(f"tools/call {tool}")) == 1


@pytest.mark.parametrize("when", ["before the call", "after the greeting", "and told of meanwhile"])
def test_a_server_that_died_while_it_stood_by_is_replaced(diary, when, monkeypatch):
    client = mcp_host.Client(diary.server())
    again, hang_up, told = Standby.again, Visit.hang_up, list[Any]()

    async def later(self: Any, visit: Any) -> Any:
        # The end of the old one reaches the session while another is being made ready.
        await soon(lambda: told)
        for what in told:
            hang_up(visit, *what)
        return await again(self, visit)

    if when == "and told of meanwhile":
        monkeypatch.setattr(Visit, "hang_up", lambda _, *what: told.append(what))
        monkeypatch.setattr(Standby, "again", later)

    async def call(current_session: Any) -> Any:
        if when != "before the call":
            os.kill(waiting[0], signal.SIGKILL)
            await soon(lambda: not diary.running())
        return await current_session.call_tool("count", {})

    async def calls() -> str:
        await client.call_tool("count")
        await ready(probe)
        waiting.append(diary.running()[0])
        if when == "before the call":
            os.kill(waiting[0], signal.SIGKILL)
            await soon(lambda: not diary.running())
        return (await client._execute_with_session(call)).content[0].text

    waiting: list[int] = []
    with feature("standby") as probe:
        assert pid_of(asyncio.run(calls())) != waiting[0]
    assert len(diary.lines("tools/call")) == 2


def test_a_cancelled_call_ends_its_server(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> None:
        task = asyncio.ensure_future(client.call_tool("hang"))
        await soon(lambda: diary.lines("tools/call hang"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(lambda: diary.lines("ends"))
        await client.call_tool("count")

    with feature("standby"):
        asyncio.run(calls())


@pytest.mark.parametrize("change", ["update", "settings", "fields"])
def test_a_changed_configuration_drops_the_server(diary, change):
    server = diary.server()
    client = mcp_host.Client(server)

    async def calls() -> None:
        await client.call_tool("count")
        await ready(probe)
        former = diary.running()
        if change == "fields":
            server.env["A"] = "1"
        else:
            mcp_host.Config.update("") if change == "update" else mcp_host.apply_settings(None)
            await soon(lambda: not diary.running())
        assert pid_of(await client.call_tool("count")) not in former

    with feature("standby") as probe:
        asyncio.run(calls())


def test_after_a_call_of_a_former_configuration_no_server_stands_by(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> None:
        task = asyncio.ensure_future(client.call_tool("hang"))
        await soon(lambda: diary.lines("tools/call hang"))
        mcp_host.Config.update("")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(lambda: not sessions_of(probe)._places)

    with feature("standby") as probe:
        asyncio.run(calls())
        assert len(diary.lines("initialize")) == 1


def test_a_server_of_a_former_configuration_is_not_used_before_it_is_ended(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> None:
        await client.call_tool("count")
        await ready(probe)
        (former,) = standing(probe)
        former.retired = True
        assert pid_of(await client.call_tool("count")) != former.process.pid

    with feature("standby") as probe:
        asyncio.run(calls())


def test_no_server_is_started_for_the_next_call_while_another_goes_on(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> None:
        under_way = asyncio.ensure_future(client.call_tool("hang"))
        await soon(lambda: diary.lines("tools/call hang"))
        (place,) = sessions_of(probe)._places.values()
        await client.call_tool("count")
        await soon(lambda: len(place.under_way) == 1)
        assert (place.preparing, place.standing) == (None, None)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        await ready(probe)

    with feature("standby") as probe:
        asyncio.run(calls())


def test_an_unused_server_is_ended(diary):
    with feature("standby", Limits(idle=0.3)) as probe:
        asyncio.run(mcp_host.Client(diary.server()).call_tool("count"))
        until(lambda: len(diary.lines("ends")) == 2)
        until(lambda: not diary.running())
        assert not standing(probe)


def test_servers_that_take_too_much_memory_do_not_stand_by(diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> None:
        await client.call_tool("count")
        await soon(lambda: len(diary.lines("ends")) == 2)  # the call's, and one that was too big

    with feature("standby", Limits(standby=1 << 20)) as probe:
        asyncio.run(calls())
        assert not standing(probe)


def test_the_server_unused_longest_makes_room(tmp_path, diary):
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other_diary = Diary(other_folder)
    client, other = mcp_host.Client(diary.server()), mcp_host.Client(other_diary.server())

    async def calls() -> None:
        await client.call_tool("count")
        await ready(probe)
        sessions = sessions_of(probe)
        size = next(iter(sessions._places.values())).size
        assert size > 1 << 20
        sessions.limits = Limits(standby=size * 3 // 2)
        await other.call_tool("count")
        await soon(lambda: not diary.running() and other_diary.lines("notifications/initialized")[1:])
        await ready(probe)
        assert standing(probe)[0].client is other

    with feature("standby") as probe:
        asyncio.run(calls())


def test_of_several_those_unused_longest_make_room_and_no_more_than_needed():
    sessions = Standby(Limits(standby=250), Lookups())
    closed: list[float] = []
    for since in (2.0, 1.0):
        place = sessions._places[int(since)] = _Place(None)
        place.size = 100
        close = partial(closed.append, since)
        place.standing = SimpleNamespace(idle_since=since, close=close)  # type: ignore[assignment]
    new = _Place(None)
    new.size = 100
    assert sessions._makes_room(new)
    assert closed == [1.0]


def test_a_child_made_by_fork_knows_no_server_of_its_parent():
    sessions = Standby(Limits(), Lookups())
    sessions._places[1] = _Place(None)
    sessions.forked()
    assert not sessions._places


def test_only_servers_that_are_processes_stand_by(diary):
    with feature("standby") as probe:
        server = mcp_host.Server("remote", url="http://127.0.0.1:9/nobody", type="sse")
        assert "failed" in asyncio.run(outcome(mcp_host.Client(server).call_tool("count")))
        assert probe.memos["mcp servers standing by"].total() == 0
