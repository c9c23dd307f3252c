"""Where a plugin's file lies: what the host finds at that moment, wherever a file comes or goes."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.memos import plugins
from autoperf.memo.counters import Lookups
from autoperf.memo.memo import Memo
from autoperf.memo.watch import Watch
from autoperf.patching.patch import PatchSet
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

pytestmark = pytest.mark.usefixtures("both_ways")

HOST = """
import glob, os

searched = []
asked = []

def get_enabled_plugin_paths(agent):
    asked.append(agent)
    return [files.get_abs_path("plugins", name) for name in enabled]

def find_plugin_assets(*subpaths, plugin_name="*", project_name="*", agent_profile="*", only_first=False):
    searched.append(subpaths)
    results = []

    def tried(path, profile):
        for found in glob.glob(path) if glob.has_magic(path) else [path]:
            if os.path.exists(found):
                results.append({"project_name": project_name, "agent_profile": profile, "path": found})
        return results and only_first

    rest = ("plugins", plugin_name, *subpaths)
    if agent_profile:
        if tried(files.get_abs_path("usr/agents", agent_profile, *rest), agent_profile):
            return results
        for base in get_enabled_plugin_paths(None):
            if tried(files.get_abs_path(base, "agents", agent_profile, *rest), agent_profile):
                return results
        if tried(files.get_abs_path("agents", agent_profile, *rest), agent_profile):
            return results
    if not tried(files.get_abs_path("usr", *rest), ""):
        tried(files.get_abs_path(*rest), "")
    return results
"""


class Host:
    """The host's module, with our patch on it, and its tree."""

    def __init__(self, module: Any, bare: Any, root: Path, patches: PatchSet) -> None:
        self.module, self.bare, self.root = module, bare, root
        self.row = patches.rows[0].as_row

    def searches(self, *subpaths: Any, **options: Any) -> bool:
        """Whether the host searches itself; what is found must be what it finds."""
        given = {"plugin_name": "p", "project_name": "", "agent_profile": "a", "only_first": True} | options
        before = len(self.module.searched)
        found = self.module.find_plugin_assets(*(subpaths or ("config.json",)), **given)
        again = len(self.module.searched) > before
        assert found == self.bare(*(subpaths or ("config.json",)), **given)
        found.append("mine")
        for one in found[:-1]:
            one.clear()
        return again

    def toggle(self, path: str) -> None:
        place = self.root / path
        if place.exists():
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    def at(*parts: str) -> str:
        return os.path.join(tmp_path, *parts)

    files = SimpleNamespace(PLUGINS_DIR="plugins", USER_DIR="usr", AGENTS_DIR="agents", get_abs_path=at)
    module: Any = module_of("assets_host.plugins", HOST, files=files, enabled=["p", "q"])
    subagents: Any = ModuleType("assets_host.subagents")
    subagents.USER_AGENTS_DIR, subagents.DEFAULT_AGENTS_DIR = "usr/agents", "agents"
    monkeypatch.setitem(sys.modules, "assets_host.subagents", subagents)
    monkeypatch.setattr(plugins, "KNOWN", {digest(module.find_plugin_assets)})
    bare = module.find_plugin_assets
    with patched(module, "find_plugin_assets", plugins.first_asset(Memo(Watch(), Lookups()))) as patches:
        yield Host(module, bare, tmp_path, patches)


PLACES = [
    "usr/agents/a/plugins/p/config.json",
    "plugins/p/agents/a/plugins/p/config.json",
    "plugins/q/agents/a/plugins/p/config.json",
    "agents/a/plugins/p/config.json",
    "usr/plugins/p/config.json",
    "plugins/p/config.json",
]


def test_the_host_searches_once(host: Host) -> None:
    assert [host.searches() for _ in range(4)] == [True, False, False, False]
    assert [host.searches(agent_profile="") for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_comes_and_goes(host: Host, place: str) -> None:
    for _ in range(3):
        host.searches()
        host.searches()
        host.searches(agent_profile="")
        host.toggle(place)


def test_every_set_of_files(host: Host) -> None:
    host.searches()
    for places in itertools.product((False, True), repeat=len(PLACES)):
        for place, there in zip(PLACES, places, strict=True):
            if (host.root / place).exists() != there:
                host.toggle(place)
        host.searches()
        assert not host.searches()


def test_plugins_that_come_and_go(host: Host) -> None:
    host.toggle("plugins/r/agents/a/plugins/p/config.json")
    host.searches()
    assert not host.searches()
    for enabled in (["p", "q", "r"], ["r", "p"], []):
        host.module.enabled[:] = enabled
        assert host.searches()
        assert not host.searches()


def test_the_host_asks_for_its_plugins_no_sooner(host: Host) -> None:
    host.toggle(PLACES[0])
    for _ in range(3):
        host.searches()
    assert host.module.asked == []


def test_plugins_that_cannot_be_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.searches()
    monkeypatch.setattr(host.module, "enabled", None)
    with pytest.raises(TypeError) as caught:
        host.searches()
    assert caught.traceback[-1].name == "get_enabled_plugin_paths"
    assert caught.traceback[-2].name == "find_plugin_assets"


def test_a_host_that_finds_something_else_goes_on_searching(host: Host) -> None:
    host.toggle(PLACES[0])
    sys.modules["assets_host.subagents"].USER_AGENTS_DIR = "elsewhere"  # type: ignore[attr-defined]
    assert [host.searches() for _ in range(3)] == [True] * 3


def test_a_host_that_never_finds_what_was_worked_out_is_told(host: Host) -> None:
    sys.modules["assets_host.subagents"].DEFAULT_AGENTS_DIR = "elsewhere"  # type: ignore[attr-defined]
    for number in range(20):
        assert host.row()["state"] == "applied"
        host.toggle(f"agents/a/plugins/p/{number}.json")
        host.searches(f"{number}.json")
    assert host.row()["state"] == "unrecognised"


@pytest.mark.parametrize(
    "options",
    [
        {"project_name": "atlas"}, {"project_name": "*"}, {"only_first": False}, {"plugin_name": "*"},
        {"agent_profile": "*"}, {"agent_profile": "[a]"},
    ],
    ids=str,
)  # fmt: skip
def test_everything_else_is_searched_by_the_host(host: Host, options: dict[str, Any]) -> None:
    host.toggle(PLACES[4])
    assert [host.searches(**options) for _ in range(3)] == [True] * 3


def test_a_pattern_is_searched_by_the_host(host: Host) -> None:
    host.toggle(PLACES[5])
    assert [host.searches("*.json") for _ in range(3)] == [True] * 3


def test_another_search_is_left_alone() -> None:
    module = module_of("assets_other", HOST)
    with patched(module, "find_plugin_assets", plugins.first_asset(Memo(Watch(), Lookups()))) as patches:
        assert patches.rows[0].state == "unrecognised"
