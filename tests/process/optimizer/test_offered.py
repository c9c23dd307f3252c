"""Where `performance_optimizer` is offered, on request only: the prompt's list of tools, native functions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tool import (
    DESCRIPTION,
    NAME,
    _functions,
    _prompt,
    function_tool,
    rows,
)

AGENT = SimpleNamespace(config=SimpleNamespace(profile=""))
TOOLS = "agent.system.tools.md"
TARGETS = {"prompt": "agent:Agent.read_prompt", "functions": "helpers.responses_tools:build"}


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    made = Probe(None)
    made.root, made.tool_mode, made.optimizer = str(tmp_path), "advertise", lambda: None
    return made


def read(probe: Probe, *args: Any, says: str = "", **kwargs: Any) -> str:
    """What an agent reads where the host's own function says ``says``, or the list that it was given."""

    def host(file: str, **given: Any) -> str:
        return says or f"Tools:\n{given.get('tools')}"

    found: str = _prompt(probe)(host, AGENT, args, kwargs)
    return found


def offered(probe: Probe, names: dict[str, str]) -> Any:
    return _functions(probe)(lambda agent: (["theirs"], names), None, (AGENT,), {})


@pytest.mark.parametrize("mode", ["callable", "read-only", "off"])
def test_nothing_is_patched_unless_it_is_advertised(probe: Probe, mode: str) -> None:
    assert [target for target, _ in rows(TARGETS, probe)] == list(TARGETS.values())
    probe.tool_mode = mode
    assert list(rows(TARGETS, probe)) == []


def test_the_list_of_tools_gets_one_more_and_no_other_file(probe: Probe) -> None:
    assert read(probe, TOOLS, says="theirs") == f"theirs\n\n{DESCRIPTION}"
    assert read(probe, file=TOOLS, tools="theirs") == f"Tools:\ntheirs\n\n{DESCRIPTION}"
    assert read(probe, "agent.system.main.md", says="theirs") == "theirs"
    assert read(probe, "agent.system.main.md", tools="theirs") == "Tools:\ntheirs"


def test_who_is_in_the_list_already_is_not_put_there_again(probe: Probe) -> None:
    named = f"### {NAME}\nours, or another"
    assert read(probe, TOOLS, says=named) == named
    assert read(probe, TOOLS, tools=named) == f"Tools:\n{named}"
    assert offered(probe, {NAME: "another"}) == (["theirs"], {NAME: "another"})


def test_it_is_a_function_beside_theirs(probe: Probe) -> None:
    assert offered(probe, {"theirs": "theirs"}) == (
        ["theirs", function_tool()],
        {"theirs": "theirs", NAME: NAME},
    )


def test_a_tool_of_the_hosts_is_offered_by_the_host_alone(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / f"{NAME}.py").touch()
    assert read(probe, TOOLS, says="theirs") == "theirs"
    assert offered(probe, {}) == (["theirs"], {})


def test_what_is_switched_off_is_not_offered(probe: Probe) -> None:
    probe.optimizer = None
    assert read(probe, TOOLS, says="theirs") == "theirs"
    assert offered(probe, {}) == (["theirs"], {})
