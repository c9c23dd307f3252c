"""MCP: has_tool from an index that is never older than the list it stands for; executions watched once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.mcp import lookup
from autoperf.patching.patch import Switch, replacement


def _client() -> Any:
    scans: Counter[Any] = Counter()

    class Client:
        def __init__(self, tools: Any) -> None:
            self.tools = tools

        @property
        def scans(self) -> int:
            return scans[self]

        def has_tool(self, tool_name: str) -> bool:
            scans[self] += 1  # asks for nothing that the host's own does not
            return any(tool["name"] == tool_name for tool in self.tools)

    return Client


Client = _client()


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def has_tool(switch):
    return replacement(Client.has_tool, lookup.has_tool, switch)


def tools(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def test_answers_are_the_scans_own_without_a_scan(has_tool):
    client = Client(tools("a", "b"))
    assert [has_tool(client, name) for name in ("a", "b", "c", "")] == [True, True, False, False]
    assert client.scans == 0


def test_a_new_list_or_another_length_is_seen_at_once(has_tool):
    client = Client(tools("a"))
    assert has_tool(client, "a")
    client.tools = tools("b")
    assert (has_tool(client, "a"), has_tool(client, "b")) == (False, True)
    client.tools.append({"name": "c"})
    assert has_tool(client, "c")
    client.tools.clear()
    assert not has_tool(client, "b")


def test_two_clients_do_not_share_an_index(has_tool):
    one, other = Client(tools("a")), Client(tools("b"))
    assert has_tool(one, "a")
    assert not has_tool(other, "a")


@pytest.mark.parametrize(
    "odd", [({"name": "a"},), [{"title": "a"}], [["a"]], [{"name": []}], None, {"name": "a"}, [None]]
)
def test_lists_of_another_shape_are_the_hosts_business_and_told(has_tool, switch, odd):
    told = []
    for ask in (Client.has_tool, has_tool):
        try:
            told.append(ask(Client(odd), "a"))
        except Exception as error:
            told.append((type(error), str(error)))
    assert told[0] == told[1]
    assert (switch.aside is not None) == (odd is not None)


def test_a_name_that_cannot_be_looked_up_is_compared_by_the_host(has_tool):
    client = Client(tools("a"))
    assert has_tool(client, ["a"]) is False  # type: ignore[arg-type]
    assert client.scans == 1


def test_switched_off_the_host_scans(has_tool, switch):
    switch.on = False
    client = Client(tools("a"))
    assert has_tool(client, "a")
    assert client.scans == 1


def test_a_client_that_takes_no_attributes_is_still_answered(has_tool):
    class Closed(Client):
        __slots__ = ()

        def __setattr__(self, name, value):
            if name not in ("tools", "scans"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    client = Closed(tools("a"))
    assert has_tool(client, "a")
    assert not has_tool(client, "b")


def test_another_signature_is_refused(switch):
    with pytest.raises(AutoperfError):
        lookup.has_tool(lambda self, name, server: True, switch)


class Tool:
    name = "srv.a"

    def __init__(self) -> None:
        self.runs = 0

    async def execute(self) -> str:
        self.runs += 1
        return "answer"


def test_found_tools_are_watched_once_however_often_they_pass():
    probe = Probe(None)
    tool = Tool()
    wrapper = lookup.lookup(probe)

    def found(agent, name):
        return tool

    def project(agent, name):
        return wrapper(found, None, (agent, name), {})

    assert wrapper(project, None, (None, "srv.a"), {}) is tool
    assert asyncio.run(tool.execute()) == "answer"
    (row,) = probe.tools.as_rows()
    assert (row["name"], row["count"], tool.runs) == ("srv.a", 1, 1)
    assert wrapper(lambda *a: None, None, (None, "x"), {}) is None
    assert (probe.mcp_lookups, probe.mcp_found) == (3, 2)


def test_a_failing_lookup_passes():
    def fails(*_):
        raise RuntimeError("server gone")

    with pytest.raises(RuntimeError, match="server gone"):
        lookup.lookup(Probe(None))(fails, None, (None, "x"), {})
