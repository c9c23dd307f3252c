"""`mcp-keep` against real server processes: results and errors as bare, sessions kept, and let go."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("mcp.client.stdio")
pytest.importorskip("mcp.client.streamable_http")

from autoperf.errors import AutoperfError, failures
from autoperf.instrumentation.agentzero.mcp import messages
from autoperf.instrumentation.agentzero.mcp.limits import Limits
from autoperf.telemetry import names
from tests import mcp_host
from tests.mcp_sessions import Diary, feature, loop_threads, outcome, pid_of, sessions_of, soon, until
from tests.recording import Recording

pytestmark = pytest.mark.slow

CLIENTS = pytest.mark.parametrize("kind", [mcp_host.Client, mcp_host.ThreadedClient])


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path)


async def tour(client: Any) -> list[str]:
    """All that can be asked of the plain server, one after the other, and what came of it."""
    found = [await outcome(client.update_tools()), str(client.tools)]
    for tool in ("count", "refuse", "crash", "hang", "ask", "count"):
        # Up to mcp 1.9 a call whose server crashed is noticed by its timeout alone.
        client.timeout = 2.0 if tool in ("hang", "crash") else 30.0
        found.append(await outcome(client.call_tool(tool)))
    return found


def without_numbers(texts: list[str]) -> list[str]:
    return [re.sub(r"^\d+ \d+$", "PID CALLS", re.sub(r"0x[0-9a-f]+", "0x", text)) for text in texts]


@CLIENTS
@pytest.mark.parametrize("name", ["keep", "standby"])
def test_results_and_errors_are_those_of_the_bare_host_with_their_tracebacks(tmp_path, kind, name):
    found = {}
    for how in ("bare", name):
        (tmp_path / how).mkdir()
        server = Diary(tmp_path / how).server()
        with feature(how):
            found[how] = without_numbers(asyncio.run(tour(kind(server))))
    assert found["bare"] == found[name]
    assert sum("Traceback" in text for text in found["bare"]) == 3
    assert not failures.as_rows()


@CLIENTS
def test_a_session_is_kept_from_call_to_call_and_loop_to_loop(diary, kind):
    client = kind(diary.server())
    with feature("keep") as probe:
        answers = [asyncio.run(client.call_tool("count")) for _ in range(3)]
        assert probe.memos["mcp sessions kept"].as_row()["hits"] == 2
    assert len({pid_of(answer) for answer in answers}) == 1
    assert [answer.split()[1] for answer in answers] == ["1", "2", "3"]
    assert len(diary.lines("initialize")) == 1
    assert len(diary.lines("tools/call")) == 3
    assert diary.lines("ends"), "the server is left as the protocol says"


def test_the_list_of_tools_that_checks_results_is_asked_for_once_and_again_when_it_changed(diary):
    client = mcp_host.Client(diary.server())
    listed = []
    with feature("keep"):
        for tool in ("count", "count", "change", "count", "count"):
            asyncio.run(client.call_tool(tool))
            listed.append(len(diary.lines("tools/list")))
        asyncio.run(client.update_tools())
        assert len(diary.lines("tools/list")) == listed[-1] + 1, "the host itself asks the server"
    if listed[0]:  # mcp 1.9 does not check results
        assert listed == [1, 1, 2, 2, 2]


def test_bare_every_call_is_a_process(diary):
    client = mcp_host.Client(diary.server())
    answers = [asyncio.run(client.call_tool("count")) for _ in range(2)]
    assert len({pid_of(answer) for answer in answers}) == 2


def test_without_a_call_there_is_no_thread():
    before = loop_threads()
    with feature("keep"):
        assert loop_threads() == before


def test_what_a_server_writes_to_stderr_is_in_the_hosts_log(diary):
    client = mcp_host.Client(diary.server())
    with feature("keep"):
        pid = pid_of(asyncio.run(client.call_tool("count")))
        assert client.get_log() == f"hello from {pid}\n"


def test_calls_at_the_same_time_have_a_server_each(diary):
    client = mcp_host.Client(diary.server())

    async def both() -> list[str]:
        return await asyncio.gather(client.call_tool("meet"), client.call_tool("meet"))

    with feature("keep"):
        first, second = asyncio.run(both())
        assert pid_of(first) != pid_of(second)
        assert pid_of(asyncio.run(client.call_tool("count"))) in (pid_of(first), pid_of(second))


def test_beyond_the_limit_a_call_goes_as_bare(diary):
    client = mcp_host.Client(diary.server())

    async def both() -> list[str]:
        return await asyncio.gather(client.call_tool("meet"), client.call_tool("meet"))

    with feature("keep", Limits(sessions=1)):
        pids = {pid_of(answer) for answer in asyncio.run(both())}
        assert len(pids) == 2
        assert len(diary.running()) == 1


def test_the_session_unused_longest_makes_room_for_another_server(tmp_path, diary):
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    client, other = mcp_host.Client(diary.server()), mcp_host.Client(Diary(other_folder).server())
    with feature("keep", Limits(sessions=1)):
        asyncio.run(client.call_tool("count"))
        answers = [asyncio.run(other.call_tool("count")) for _ in range(2)]
        assert pid_of(answers[0]) == pid_of(answers[1])
        until(lambda: not diary.running())


def test_an_idle_session_is_closed(diary):
    with feature("keep", Limits(idle=0.2)):
        asyncio.run(mcp_host.Client(diary.server()).call_tool("count"))
        until(lambda: diary.lines("ends"))
        until(lambda: not diary.running())


@pytest.mark.parametrize("change", ["update", "settings", "fields", "program", "project"])
def test_a_changed_configuration_ends_the_session(tmp_path, diary, change):
    server = diary.server()
    program = tmp_path / "copy.py"
    program.write_text(Path(server.args[1]).read_text())
    server.args[1] = str(program)
    client = mcp_host.Client(server)
    mcp_host.Config.projects = {"p": mcp_host.Config([server])}

    def act() -> None:
        if change == "update":
            mcp_host.Config.update("{}")
        elif change == "settings":
            mcp_host.apply_settings(None)
        elif change == "fields":
            server.env["A"] = "1"
        elif change == "program":
            program.write_text(program.read_text() + "\n# edited\n")
        else:
            mcp_host.Config.projects["p"] = mcp_host.Config([])
            mcp_host.Config.get_project_instance("p")

    with feature("keep"):
        mcp_host.Config.get_project_instance("p")
        first = pid_of(asyncio.run(client.call_tool("count")))
        assert pid_of(asyncio.run(client.call_tool("count"))) == first
        act()
        if change in ("update", "settings", "project"):
            until(lambda: first not in diary.running())
        assert pid_of(asyncio.run(client.call_tool("count"))) != first
        until(lambda: first not in diary.running())


def test_a_call_under_way_when_the_configuration_changes_goes_on(tmp_path, diary):
    client = mcp_host.Client(diary.server())

    async def calls() -> str:
        task = asyncio.ensure_future(client.call_tool("meet"))
        await soon(lambda: diary.lines("tools/call meet"))
        mcp_host.Config.update("{}")
        (tmp_path / "met.other").touch()
        return await task

    with feature("keep"):
        pid = pid_of(asyncio.run(calls()))
        until(lambda: pid not in diary.running())


def test_spans_are_those_of_a_bare_session(diary):
    orders = {}
    for name in ("bare", "keep"):
        tracing = Recording()
        with feature(name, tracing=tracing):
            client = mcp_host.Client(diary.server())
            asyncio.run(client.call_tool("count"))
            asyncio.run(client.call_tool("count"))
            asyncio.run(outcome(client.call_tool("refuse")))
        orders[name] = (tracing.order, [attributes for _, attributes in tracing.opened])
    assert orders["bare"] == orders["keep"]
    assert orders["bare"][0].count("+mcp_session") == 3
    assert orders["bare"][1][2][names.TOOL_NAME] == "count"


def test_with_both_on_sessions_are_kept(diary):
    client = mcp_host.Client(diary.server())
    with feature("both") as probe:
        answers = [asyncio.run(client.call_tool("count")) for _ in range(2)]
        reasons = [row.reason for row in probe.rows if row.state == "off"]
    assert len({pid_of(answer) for answer in answers}) == 1
    assert reasons == ["mcp-keep is on: its sessions are open already"]


def test_another_mcp_package_is_left_alone(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mcp.shared.message", object())
    with pytest.raises(AutoperfError, match="other messages"):
        messages.expect_known()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_parents_sessions_alone(diary):
    client = mcp_host.Client(diary.server())
    with feature("keep") as probe:
        first = pid_of(asyncio.run(client.call_tool("count")))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for renew in probe.after_fork:
                    renew()
                code = 0 if pid_of(asyncio.run(client.call_tool("count"))) != first else 2
                sessions_of(probe).stop()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert psutil.pid_exists(first)
        assert pid_of(asyncio.run(client.call_tool("count"))) == first
