"""Conversations are complete: each turn ends in an answer, each of our tools that is called has its file."""

from __future__ import annotations

import ast
import json

import pytest

from autoperf.benchmark.scenarios import tool_files
from autoperf.benchmark.scenarios.conversation import call, tools
from tests.benchmarks.conversations.situations import CONVERSATIONS


def requests(reply: str) -> dict[str, object]:
    try:
        data = json.loads(reply)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_every_turn_ends_with_an_answer(name: str) -> None:
    for turn in CONVERSATIONS[name]().turns:
        assert requests(turn.replies[-1])["tool_name"] == "response"


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
@pytest.mark.parametrize("package", ["helpers", "python.helpers"])
def test_tool_files_are_valid_for_both_helper_packages(name: str, package: str) -> None:
    for source in CONVERSATIONS[name]().tool_files.values():
        tree = ast.parse(tool_files.render(source, package))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert f"{package}.tool" in modules


@pytest.mark.parametrize("name", sorted(CONVERSATIONS))
def test_our_tools_that_are_called_have_a_file(name: str) -> None:
    conversation = CONVERSATIONS[name]()
    called = {
        str(requests(reply).get("tool_name", "")) for turn in conversation.turns for reply in turn.replies
    }
    ours = {tool.partition(":")[0] for tool in called if tool.startswith("autoperf_")}
    # This one is written while the conversation goes on.
    assert {f"{tool}.py" for tool in ours - {"autoperf_written"}} == set(conversation.tool_files)


def test_tools_makes_the_number_of_calls_it_was_asked_for() -> None:
    conversation = tools(count=20, rounds=2)
    assert [len(turn.replies) for turn in conversation.turns] == [21, 21]
    replies = [reply for turn in conversation.turns for reply in turn.replies]
    assert len(set(replies)) == len(replies), "a repeated reply is not executed by the host"


def test_tools_gives_long_answers() -> None:
    text = requests(tools(count=1, rounds=1, length=5_000).turns[0].replies[-1])["tool_args"]
    assert isinstance(text, dict)
    assert len(text["text"]) >= 5_000


def test_a_call_is_a_tool_request() -> None:
    assert requests(call("echo", text="x")) | {"thoughts": [], "headline": ""} == {
        "thoughts": [],
        "headline": "",
        "tool_name": "echo",
        "tool_args": {"text": "x"},
    }
