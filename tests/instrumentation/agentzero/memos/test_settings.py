"""Model presets: what the host puts together at that moment from its three files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import settings
from autoperf.memo import inputs
from autoperf.patching import reliance
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

HOST = """
import json, os

made = []

def _get_presets_path(project=None):
    return f"{root}/chosen"

def _get_fallback_presets_path():
    return f"{root}/bundled"

def _load_presets_from_path(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None

def _fallback_presets():
    return _load_presets_from_path(_get_fallback_presets_path()) or []

def _legacy():
    path = plugins.determine_plugin_asset_path("_model_config", "", "", plugins.CONFIG_FILE_NAME)
    return [files.read_file_json(path)] if os.path.exists(path) else []

def get_presets(project_name=None):
    made.append(project_name)
    chosen = _load_presets_from_path(_get_presets_path())
    return _legacy() + (_fallback_presets() if chosen is None else chosen)
"""


class Host:
    """The host's module, with our patch on it, and its files."""

    def __init__(self, module: Any, root: Path, bare: Any, probe: Probe) -> None:
        self.module, self.root, self.bare, self.probe = module, root, bare, probe

    def makes(self) -> bool:
        """Whether the host puts them together again; what comes out must be what it says now."""
        before = len(self.module.made)
        found = self.module.get_presets()
        again = len(self.module.made) > before
        assert found == self.bare()
        found.append("mine")
        for preset in found:
            preset.clear() if isinstance(preset, dict) else None
        return again

    def write(self, name: str, value: Any) -> None:
        (self.root / name).write_text(value if isinstance(value, str) else json.dumps(value))


def _module(root: Path, name: str) -> ModuleType:
    def asset(_plugin: str, _project: str, _profile: str, file: str) -> str:
        return f"{root}/{file}"

    def read(path: str) -> Any:
        return json.loads(Path(path).read_text())

    plugins = SimpleNamespace(CONFIG_FILE_NAME="config", determine_plugin_asset_path=asset)
    return module_of(name, HOST, root=str(root), plugins=plugins, files=SimpleNamespace(read_file_json=read))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    module = _module(tmp_path, "presets_host")
    monkeypatch.setattr(reliance, "digest", lambda found: found.__name__)
    monkeypatch.setattr(settings, "KNOWN", {"presets_host"})
    # As if every question came a while after every change.
    monkeypatch.setattr(inputs.time, "time_ns", lambda: int((time.time() + 5) * 1e9))
    probe = Probe(None)
    bare = module.get_presets
    found = Host(module, tmp_path, bare, probe)
    found.write("bundled", [{"name": "Default", "chat": {"a": 1}}])
    with patched(module, "get_presets", settings.presets(probe.new_memo("presets", twice=True))):
        yield found


def test_kept_once_they_were_put_together_twice(host: Host) -> None:
    assert [host.makes() for _ in range(5)] == [True, True, False, False, False]
    assert host.probe.memos["presets"].as_row()["hits"] == 3


@pytest.mark.parametrize("name", ["chosen", "bundled", "config"])
def test_each_file_counts(host: Host, name: str) -> None:
    for value in ([{"name": "One"}], [{"name": "Two"}], "{broken", [{"name": "Three"}]):
        if name != "config" or value != "{broken":
            host.write(name, value if name != "config" or isinstance(value, str) else value[0])
            assert host.makes()
            host.makes()
            if value != "{broken":
                assert not host.makes()
    os.remove(host.root / name)
    assert host.makes()


def test_a_broken_file_is_read_every_time(host: Host) -> None:
    host.write("chosen", "{broken")
    assert [host.makes() for _ in range(4)] == [True] * 4
    host.write("chosen", [])
    host.write("bundled", "{broken")
    assert [host.makes() for _ in range(4)] == [True] * 4
    host.write("bundled", [{"name": "Default"}])
    host.write("config", "{broken")
    for _ in range(3):
        with pytest.raises(json.JSONDecodeError):
            host.module.get_presets()


def test_what_could_not_be_read_for_a_moment_is_not_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write("chosen", [{"name": "Mine"}])
    with monkeypatch.context() as moment:
        moment.setitem(host.module.__dict__, "open", _fails)
        assert [host.module.get_presets() for _ in range(3)] == [[]] * 3
    assert host.module.get_presets()[0]["name"] == "Mine"


def test_what_the_host_lacks_it_says_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.makes()
    monkeypatch.delitem(vars(host.module), "plugins")
    with pytest.raises(NameError, match="plugins"):
        host.module.get_presets()


def _fails(*_args: Any) -> None:
    raise OSError("too many open files")


def test_a_function_of_the_hosts_that_is_replaced(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.makes()
    host.makes()
    monkeypatch.setattr(host.module, "_fallback_presets", lambda: [{"name": "Other"}])
    assert [host.makes() for _ in range(3)] == [True] * 3
    monkeypatch.undo()


def test_projects_have_presets_of_their_own(host: Host) -> None:
    for _ in range(3):
        host.module.get_presets("project")
        host.module.get_presets(project_name="project")
    assert host.module.made == ["project"] * 6


def test_a_file_written_a_moment_ago_is_not_trusted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs.time, "time_ns", lambda: 0)
    assert [host.makes() for _ in range(4)] == [True] * 4


def test_another_module_than_the_known_one_is_left_alone(tmp_path: Path) -> None:
    module = _module(tmp_path, "presets_other")
    assert digest(module.get_presets)
    with patched(module, "get_presets", settings.presets(Probe(None).new_memo("presets"))) as patches:
        assert patches.rows[0].state == "unrecognised"
