"""The conversations in which something happens meanwhile are complete, and render to valid source."""

from __future__ import annotations

import ast

import pytest

from autoperf.benchmark.model.server import HOLD
from autoperf.benchmark.scenarios import tool_files
from autoperf.benchmark.scenarios.conversation import Conversation
from tests.benchmarks.conversations import situation_files
from tests.benchmarks.conversations.changes import CHANGES
from tests.benchmarks.conversations.situations import SITUATIONS

ALL = {**SITUATIONS, **CHANGES}


@pytest.mark.parametrize("name", ALL)
def test_every_act_has_a_moment(name: str) -> None:
    conversation: Conversation = ALL[name]()
    assert conversation.name == name
    for turn in conversation.turns:
        moments = sum(HOLD in reply or '"autoperf_waits"' in reply for reply in turn.replies)
        assert len(turn.meanwhile) == moments, turn.message


@pytest.mark.parametrize("name", ALL)
def test_files_are_source(name: str) -> None:
    for file, source in ALL[name]().tool_files.items():
        if file.endswith(".py"):
            ast.parse(tool_files.render(source, "helpers", "http://127.0.0.1:1/v1"))


@pytest.mark.parametrize("name", ["OVERRIDE", "EXTENSION", "ARGUMENTS", "RESULT", "COUNTS", "RAISES"])
def test_what_is_written_meanwhile_is_source(name: str) -> None:
    ast.parse(getattr(situation_files, name).replace("{package}", "helpers"))
