"""Agent profiles: what the host lists at that moment, from its own folder, the plugins' and the user's."""

from __future__ import annotations

import builtins
import copy
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import profiles
from autoperf.patching.sources import digest, group_digest
from tests.seam import module_of, patched

FILES = """
import os

def get_abs_path(*parts):
    return os.path.join(root, *parts)

def exists(*parts):
    return os.path.exists(get_abs_path(*parts))

def read_file(path, encoding="utf-8"):
    with open(get_abs_path(path), encoding=encoding) as file:
        return file.read()

def get_subdirectories(path):
    found = get_abs_path(path)
    names = os.listdir(found) if os.path.exists(found) else []
    return [name for name in names if os.path.isdir(os.path.join(found, name))]
"""
HOST = """
import copy, json

DEFAULT_AGENTS_DIR = "agents"
USER_AGENTS_DIR = "usr/agents"
read = []

class SubAgentListItem:
    def __init__(self, **values):
        self.__dict__.update({"title": "", "origin": [], "enabled": True} | values)
    def __copy__(self):
        own = SubAgentListItem.__new__(SubAgentListItem)
        own.__dict__.update(self.__dict__)
        return own
    def __eq__(self, other):
        return self.__dict__ == other.__dict__

def _merge_agent_list_items(base, override):
    return SubAgentListItem(**{**base.__dict__, **override.__dict__, "origin": base.origin + override.origin})

def _get_agents_list_from_dir(folder, origin):
    found = {}
    for name in files.get_subdirectories(folder):
        try:
            path = files.get_abs_path(folder, name, "agent.yaml")
            if not files.exists(path):
                path = files.get_abs_path(folder, name, "agent.json")
            item = SubAgentListItem(**json.loads(files.read_file(path)))
            item.origin = [origin]
            found[name] = item
        except Exception:
            continue
    return found

def get_agents_dict(project_name=None):
    import profiles_host_plugins as plugins
    read.append(project_name)
    merged = {}
    places = [(DEFAULT_AGENTS_DIR, "default")]
    places += [(folder, "plugin") for folder in plugins.get_enabled_plugin_paths(None, "agents")]
    for folder, origin in [*places, (USER_AGENTS_DIR, "user")]:
        for name, item in _get_agents_list_from_dir(folder, origin).items():
            merged[name] = _merge_agent_list_items(merged[name], item) if name in merged else item
    return merged
"""


class Host:
    """The host's module with our patch on it, over ``root``."""

    def __init__(self, module: Any, files: Any, bare: Any, probe: Probe, root: Path) -> None:
        self.module, self.files, self.bare, self.probe, self.root = module, files, bare, probe, root
        self.plugins: list[str] = []

    def write(self, place: str, value: Any) -> None:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))

    def reads(self) -> bool:
        """Whether the host reads them again; what comes out must be what it says now, and ours to change."""
        before = len(self.module.read)
        found = self.module.get_agents_dict()
        again = len(self.module.read) > before
        bare = self.bare()
        assert found == bare
        assert list(found) == list(bare)
        for item in found.values():
            item.origin.append("mine")
            item.enabled = "mine"
        found.clear()
        return again

    def settle(self) -> None:
        for _ in range(3):
            self.reads()
        assert not self.reads()


def packaged(name: str, source: str, **names: Any) -> Any:
    module = module_of(name, source, **names)
    sys.modules[name] = module
    return module


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    root = tmp_path / "host"
    files = module_of("profiles_host_files", FILES, root=str(root))
    # As `helpers.files` is beside `helpers.plugins`.
    files.__name__ = "profiles.files"
    module = module_of("profiles_host", HOST, files=files)
    listing = frozenset({group_digest({name: digest(vars(module)[name]) for name in profiles.LISTED_BY})})
    reading = frozenset({group_digest({name: digest(vars(files)[name]) for name in profiles.READ_BY})})
    probe = Probe(None)
    found = Host(module, files, module.get_agents_dict, probe, root)

    plugins = module_of(
        "profiles.plugins", "def get_enabled_plugin_paths(agent, name):\n    return list(paths)\n"
    )
    plugins.__dict__["paths"] = found.plugins
    monkeypatch.setitem(sys.modules, "profiles.plugins", plugins)
    monkeypatch.setitem(sys.modules, "profiles_host_plugins", plugins)
    # As if every question came a while after every change.
    monkeypatch.setattr("autoperf.memo.inputs.time.time_ns", lambda: int((time.time() + 5) * 1e9))
    found.write("agents/agent0/agent.json", {"title": "Agent 0"})
    found.write("agents/hacker/agent.json", {"title": "Hacker"})
    with patched(module, "get_agents_dict", profiles.listing(probe, listing, reading)):
        yield found
    probe.watch.close()


def test_kept_once_they_were_read_twice_alike(host: Host) -> None:
    assert [host.reads() for _ in range(5)] == [True, True, False, False, False]
    assert host.probe.memos["profiles"].as_row()["hits"] == 3


@pytest.mark.parametrize("watched", [True, False])
def test_every_change_shows_at_once(host: Host, watched: bool) -> None:
    if not watched:
        host.probe.watch.close()
    for change in (
        lambda: host.write("agents/hacker/agent.json", {"title": "Another"}),
        lambda: host.write("agents/hacker/agent.yaml", {"title": "By YAML"}),
        lambda: os.remove(host.root / "agents/hacker/agent.yaml"),
        lambda: host.write("agents/new/agent.json", {"title": "New"}),
        lambda: host.write("usr/agents/hacker/agent.json", {"title": "Mine"}),
        lambda: shutil.rmtree(host.root / "agents/new"),
        lambda: host.write("agents/hacker/agent.json", "{broken"),
        lambda: host.write("agents/hacker/agent.json", {"title": "Whole"}),
        lambda: (host.root / "agents").rename(host.root / "agents.old"),
        lambda: (host.root / "agents.old").rename(host.root / "agents"),
        lambda: host.plugins.append(str(host.root / "plugins/x/agents")),
        lambda: host.write("plugins/x/agents/extra/agent.json", {"title": "Extra"}),
    ):
        for _ in range(10):  # watched, and unwatched, after some looks
            host.reads()
        assert not host.reads()
        change()
        assert host.reads()
    host.plugins.clear()
    host.reads()  # what is known of these folders still holds


def test_a_file_that_cannot_be_read_for_a_moment(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as moment:
        moment.setitem(vars(host.files), "open", _fails)
        assert host.module.get_agents_dict() == {}
    assert list(host.module.get_agents_dict()) != []
    host.settle()


def test_a_file_that_can_never_be_read_is_tried_each_time(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.open

    def opened(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path).endswith("hacker/agent.json"):
            raise PermissionError(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", opened)
    assert [host.reads() for _ in range(4)] == [True] * 4


def _fails(*_args: Any, **_kwargs: Any) -> None:
    raise OSError("too many open files")


@pytest.mark.parametrize("link", ["agents/linked", "agents/hacker/agent.yaml"])
def test_what_a_link_leads_to_is_the_hosts_business(host: Host, link: str) -> None:
    host.write("elsewhere/agent.json", {"title": "Linked"})
    target = host.root / "elsewhere" / ("agent.json" if link.endswith("yaml") else "")
    (host.root / link).symlink_to(target)
    assert [host.reads() for _ in range(4)] == [True] * 4


def test_a_project_is_the_hosts_business(host: Host) -> None:
    host.settle()
    before = len(host.module.read)
    for _ in range(2):
        host.module.get_agents_dict("project")
    assert host.module.read[before:] == ["project"] * 2


@pytest.mark.parametrize("name", ["get_subdirectories", "read_file"])
def test_other_ways_of_reading_are_asked(host: Host, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host.settle()
    real = getattr(host.files, name)
    monkeypatch.setattr(host.files, name, lambda *args: real(*args))
    assert [host.reads() for _ in range(3)] == [True] * 3


def test_profiles_of_another_kind_are_not_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write("agents/hacker/agent.json", {"title": ["a", "list"]})
    assert [host.reads() for _ in range(4)] == [True] * 4


def test_where_the_plugins_cannot_be_asked_the_host_says_so(host: Host) -> None:
    host.settle()
    del sys.modules["profiles.plugins"]
    assert [host.reads() for _ in range(3)] == [True] * 3


def test_what_the_host_lacks_it_says_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.settle()
    monkeypatch.delitem(vars(host.module), "files")
    with pytest.raises(NameError, match="files"):
        host.module.get_agents_dict()


def test_cleared_they_are_read_again(host: Host) -> None:
    host.settle()
    assert [clear() for clear in host.probe.clearing["profiles"]] == [1]
    assert [host.reads() for _ in range(3)] == [True, True, False]


def test_a_copy_is_deep_enough(host: Host) -> None:
    host.settle()
    one, two = host.module.get_agents_dict(), host.module.get_agents_dict()
    assert one == two
    assert all(one[name] is not two[name] and one[name].origin is not two[name].origin for name in one)
    assert copy.copy(one["agent0"]) == two["agent0"]
