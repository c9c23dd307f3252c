"""Where an agent's files may lie: the host's own answer, with existence looked up at every call."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from autoperf.agentzero.paths import existing
from autoperf.errors import AutoperfError
from autoperf.patching import Switch

SOURCE = """
import os
CALLS = []

def get_paths(agent, *subpaths, must_exist_completely=True, include_project=True, include_user=True,
              include_default=True, default_root=""):
    CALLS.append(subpaths)
    wanted = []
    if include_project and agent and agent.context.project:
        wanted.append(os.path.join(ROOT, agent.context.project, *subpaths))
    if agent and agent.config.profile:
        wanted.append(os.path.join(ROOT, "agents", agent.config.profile, *subpaths))
    if include_user:
        wanted.append(os.path.join(ROOT, "usr", *subpaths))
    if include_default:
        wanted.append(os.path.join(ROOT, default_root, *subpaths))
    return [path for path in wanted if not must_exist_completely or os.path.exists(path)]
"""


class Host:
    """A module of the host's shape, wrapped, over a folder of its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.module = types.ModuleType("a_host.subagents")
        vars(self.module)["ROOT"] = str(root)
        exec(SOURCE, vars(self.module))
        projects = types.ModuleType("a_host.projects")
        projects.get_context_project_name = lambda context: context.project  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "a_host.projects", projects)
        self.switch = Switch()
        self.get_paths = existing(self.module.get_paths, self.switch)

    def write(self, name: str) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        return str(path)


def agent(profile: str = "", project: str = "") -> Any:
    return types.SimpleNamespace(
        config=types.SimpleNamespace(profile=profile), context=types.SimpleNamespace(project=project)
    )


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_what_comes_and_goes_shows_at_the_next_call_without_asking_the_host(host):
    default = host.write("python/tools/a.py")
    asked = ("tools", "a.py")
    assert host.get_paths(agent("p"), *asked, default_root="python") == [default]
    calls = len(host.module.CALLS)
    override = host.write("agents/p/tools/a.py")
    assert host.get_paths(agent("p"), *asked, default_root="python") == [override, default]
    os.unlink(default)
    assert host.get_paths(agent("p"), *asked, default_root="python") == [override]
    assert len(host.module.CALLS) == calls


def test_every_profile_has_its_own(host):
    one, two = host.write("agents/one/x"), host.write("agents/two/x")
    for _ in range(2):
        assert host.get_paths(agent("one"), "x") == [one]
        assert host.get_paths(agent("two"), "x") == [two]
        assert host.get_paths(agent(), "x") == []
        assert host.get_paths(None, "x") == []


def test_an_agent_with_a_project_is_the_hosts(host):
    path = host.write("atlas/x")
    for _ in range(3):
        before = len(host.module.CALLS)
        assert host.get_paths(agent("p", "atlas"), "x") == [path]
        assert len(host.module.CALLS) == before + 1


def test_a_call_for_paths_that_need_not_exist_is_the_hosts(host):
    for _ in range(2):
        assert len(host.get_paths(agent("p"), "x", must_exist_completely=False)) == 3


def test_each_answer_is_a_list_of_its_own(host):
    host.write("usr/x")
    host.get_paths(None, "x").clear()
    assert len(host.get_paths(None, "x")) == 1


def test_candidates_that_do_not_explain_the_hosts_answer_are_not_used(host):
    host.write("usr/x")
    plain = host.module.get_paths

    def reversed_when_existing(agent, *subpaths, **options):
        found = plain(agent, *subpaths, **options)
        return found if "must_exist_completely" in options else [*found, "and another"]

    reversed_when_existing.__signature__ = __import__("inspect").signature(plain)
    get_paths = existing(reversed_when_existing, host.switch)
    for _ in range(3):
        assert get_paths(None, "x")[-1] == "and another"


def test_another_signature_is_left_alone():
    with pytest.raises(AutoperfError, match="another signature"):
        existing(lambda agent, *parts: [], Switch())


def test_switched_off_it_is_the_host(host):
    host.switch.on = False
    for _ in range(3):
        before = len(host.module.CALLS)
        host.get_paths(None, "x")
        assert len(host.module.CALLS) == before + 1
