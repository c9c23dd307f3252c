"""The settings: what the host puts together at that moment, a copy for each caller, whatever has changed."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import global_settings
from autoperf.memo import inputs
from autoperf.patching.sources import digest, group_digest
from tests.seam import module_of, patched

SETTINGS = """
import json, os

_settings = None
made = []

def get_settings():
    global _settings
    if not _settings:
        with open(f"{root}/settings.json") as file:
            _settings = normalize_settings(json.load(file))
    norm = normalize_settings(_settings)
    _load_sensitive_settings(norm)
    return norm

def set_settings(settings):
    global _settings
    _settings = settings
    with open(f"{root}/settings.json", "w") as file:
        json.dump(settings, file)
    _settings = None
    return get_settings()

def normalize_settings(settings):
    made.append(1)
    copy = {**get_default_settings(), **settings}
    copy["api_keys"] = dict(copy["api_keys"])
    copy["mcp_server_token"] = runtime.get_persistent_id()
    return copy

def get_default_value(name, value):
    found = dotenv.get_dotenv_value(f"A0_SET_{name}", dotenv.get_dotenv_value(f"A0_SET_{name.upper()}"))
    if found is None:
        return value
    try:
        return type(value)(found.strip())
    except ValueError:
        warned.append(name)
        return value

def get_default_settings():
    ignored = files.read_file(files.get_abs_path("conf/workdir.gitignore"))
    return {"version": git.get_version(), "api_keys": {}, "workdir_gitignore": ignored,
            "profile": get_default_value("profile", "agent0"), "depth": get_default_value("depth", 5),
            "workdir_path": files.get_abs_path_dockerized("usr/workdir")}

def _load_sensitive_settings(settings):
    for provider in get_providers("chat") + get_providers("embedding"):
        name = provider["value"]
        key = settings["api_keys"].get(name) or models.get_api_key(name)
        if key and key != "None":
            settings["api_keys"][name] = key
    settings["auth_login"] = dotenv.get_dotenv_value("AUTH_LOGIN") or ""
    try:
        settings["secrets"] = get_default_secrets_manager().read_secrets_raw()
    except Exception:
        settings["secrets"] = ""
"""

OTHERS = """
import os

turns = {}
asked = []

def get_api_key(service):
    asked.append(service)
    key = os.getenv(f"API_KEY_{service.upper()}") or "None"
    if "," in key:
        turns[service] = turns.get(service, -1) + 1
        key = key.split(",")[turns[service] % len(key.split(","))]
    if (not key or key == "None") and service in oauth_provider_ids() and accounts.get(service):
        key = "oauth"
    return key

def get_persistent_id():
    if not os.getenv("A0_PERSISTENT_RUNTIME_ID"):
        os.environ["A0_PERSISTENT_RUNTIME_ID"] = next(ids)
    return os.environ["A0_PERSISTENT_RUNTIME_ID"]

def get_dotenv_value(key, default=None):
    return os.getenv(key, default)

def read_file(path):
    with open(path) as file:
        return file.read()

def call_extensions_sync(point, agent=None):
    pass

def oauth_provider_ids():
    return {"codex"}

class DummyKey:
    def execute(self, data=None):
        return oauth_provider_ids()

class OtherExtension:
    def execute(self, data=None):
        return None
"""

ASKED = {
    "models": "get_api_key",
    "runtime": "get_persistent_id",
    "dotenv": "get_dotenv_value",
    "files": "read_file",
    "extension": "call_extensions_sync",
}
KEY_END = os.path.join("_functions", "models", "get_api_key", "end")


def _known(module: ModuleType, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset({group_digest({name: digest(vars(module)[name]) for name in names})})


class Host:
    """A package of the host's with our patch on its settings, and without it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.version, self.dockerized = "v1", True
        self.accounts: dict[str, bool] = {}
        self.providers = {"chat": ["openai", "codex"], "embedding": ["openai"]}
        self.others = module_of(
            "settingshost.others", OTHERS, ids=map(str, range(1000)), accounts=self.accounts
        )
        self.classes: dict[str, list[type]] = {KEY_END: [self.others.DummyKey]}
        spaces = {name: ModuleType(f"settingshost.{name}") for name in ASKED}
        for name, function in ASKED.items():
            setattr(spaces[name], function, getattr(self.others, function))
        spaces["files"].get_abs_path = lambda path: f"{root}/{path}"  # type: ignore[attr-defined]
        spaces["files"].get_abs_path_dockerized = lambda path: f"{self.dockerized}/{path}"  # type: ignore[attr-defined]
        self.spaces = spaces
        names = {
            **{name: space for name, space in spaces.items() if name != "extension"},
            "root": str(root),
            "warned": [],
            "git": SimpleNamespace(get_version=lambda: self.version),
            "get_providers": lambda kind: [{"value": name} for name in self.providers[kind]],
            "get_default_secrets_manager": lambda: SimpleNamespace(
                read_secrets_raw=(root / "secrets.env").read_text
            ),
        }
        self.module = module_of("settingshost.settings", SETTINGS, **names)
        self.probe = Probe(None)
        (root / "conf").mkdir()
        (root / "conf/workdir.gitignore").write_text("*.pyc")
        (root / "settings.json").write_text(json.dumps({"profile": "mine", "api_keys": {}}))

    def build(self) -> Callable[..., Any]:
        known = tuple(name for name in global_settings.MADE_BY if name in vars(self.module))
        others = {name: ((one,), _known(self.spaces[name], (one,))) for name, one in ASKED.items()}
        return global_settings.memoised(
            self.probe.new_memo("settings", 8),
            lambda point, _agent: self.classes.get(point, []),
            _known(self.module, known),
            others,
            frozenset({digest(self.others.DummyKey.execute)}),
        )

    def makes(self) -> bool:
        """Whether the host puts them together again; what comes out is what it says now, in its order."""
        before = len(self.module.made)
        found = self.module.get_settings()
        again = len(self.module.made) > before
        turns = dict(self.others.turns)
        said = self.module.get_settings.__wrapped__()
        self.others.turns.clear()
        self.others.turns.update(turns)
        assert json.dumps(found) == json.dumps(said)
        found["api_keys"]["openai"] = found["profile"] = "changed by its caller"
        return again

    def warm(self) -> None:
        for _ in range(3):
            self.makes()
        assert not self.makes()


@pytest.fixture(autouse=True)
def a_while_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every question came a while after every change."""
    monkeypatch.setattr(inputs.time, "time_ns", lambda: int((time.time() + 5) * 1e9))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    for name in ("API_KEY_OPENAI", "API_KEY_CODEX", "AUTH_LOGIN", "A0_SET_depth", "A0_SET_DEPTH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("A0_PERSISTENT_RUNTIME_ID", "id")
    found = Host(tmp_path)
    monkeypatch.setitem(sys.modules, "settingshost.extension", found.spaces["extension"])
    with patched(found.module, "get_settings", found.build()) as patches:
        assert patches.rows[0].state == "applied"
        yield found


def test_made_once_while_nothing_changes(host: Host) -> None:
    assert [host.makes() for _ in range(5)] == [True, True, False, False, False]
    assert host.probe.memos["settings"].as_row()["hits"] == 3


CHANGES: dict[str, Callable[[Host], object]] = {
    "a variable": lambda host: os.environ.update(A0_SET_depth="7"),
    "a login": lambda host: os.environ.update(AUTH_LOGIN="me"),
    "a key": lambda host: os.environ.update(API_KEY_OPENAI="sk"),
    "the file of names": lambda host: (host.root / "conf/workdir.gitignore").write_text("*.log"),
    "secrets": lambda host: (host.root / "secrets.env").write_text("A=b"),
    "an account": lambda host: host.accounts.update(codex=True),
    "a provider": lambda host: host.providers["chat"].append("other"),
    "the version": lambda host: setattr(host, "version", "v2"),
    "the container": lambda host: setattr(host, "dockerized", False),
    "the user interface": lambda host: host.module.set_settings(
        {"profile": "new", "api_keys": {"codex": "k"}}
    ),
    "the host's own copy": lambda host: host.module._settings.update(profile="in place"),
    "a reload": lambda host: setattr(host.module, "_settings", None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_shows_at_once(host: Host, change: str) -> None:
    host.warm()
    CHANGES[change](host)
    assert host.makes()
    host.makes()
    assert not host.makes()


def test_deleted_variables_and_secrets_show_at_once(host: Host) -> None:
    os.environ["A0_SET_DEPTH"] = "7"
    (host.root / "secrets.env").write_text("A=b")
    host.warm()
    del os.environ["A0_SET_DEPTH"]
    assert host.makes()
    host.warm()
    (host.root / "secrets.env").unlink()
    assert host.makes()


def test_a_walk_of_changes_never_shows_a_difference(host: Host) -> None:
    choice = random.Random(7)
    steps = [*CHANGES.values(), lambda host: os.environ.pop("A0_SET_depth", None)]
    steps += [lambda host: host.accounts.clear(), lambda host: setattr(host, "version", "v1")]
    for _ in range(150):
        choice.choice(steps)(host)
        del host.providers["chat"][3:]
        host.makes()
        host.makes()
    assert host.probe.memos["settings"].as_row()["hits"] > 50


def test_only_keys_of_accounts_are_asked_for_each_time(host: Host) -> None:
    host.warm()
    host.others.asked.clear()
    host.module.get_settings()
    assert host.others.asked == ["codex"]
    host.module.set_settings({"api_keys": {"codex": "own"}})
    host.warm()
    host.others.asked.clear()
    host.module.get_settings()
    assert host.others.asked == []


def test_keys_in_turn_are_the_hosts_to_give(host: Host) -> None:
    host.warm()
    os.environ["API_KEY_OPENAI"] = "one,two"
    given = [host.module.get_settings()["api_keys"]["openai"] for _ in range(4)]
    assert given == ["one", "two", "one", "two"]


def test_a_variable_that_the_host_warns_of_is_warned_of_each_time(host: Host) -> None:
    os.environ["A0_SET_DEPTH"] = "deep"
    host.makes()
    host.module.warned.clear()
    for _ in range(3):
        host.module.get_settings()
    assert host.module.warned == ["depth"] * 3


@pytest.mark.parametrize("point", ["_functions/models/get_api_key/start", KEY_END])
def test_extensions_of_others_have_their_say_each_time(host: Host, point: str) -> None:
    host.warm()
    host.classes[point] = [host.others.OtherExtension]
    assert [host.makes() for _ in range(3)] == [True] * 3
    host.classes[point] = [host.others.DummyKey] if point == KEY_END else []
    assert not host.makes()


def test_a_function_of_the_hosts_that_is_replaced(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.warm()
    with monkeypatch.context() as moment:
        moment.setattr(host.spaces["models"], "get_api_key", lambda service: "another")
        assert [host.makes() for _ in range(3)] == [True] * 3
    assert not host.makes()
    monkeypatch.setattr(os, "getenv", lambda name, default=None: os.environ.get(name, default))
    assert host.makes()


def test_the_extension_of_accounts_is_known_by_what_it_does_now(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.classes[KEY_END] = [host.others.DummyKey]
    host.warm()
    with monkeypatch.context() as moment:
        moment.setattr(host.others.DummyKey, "execute", host.others.OtherExtension.execute)
        assert [host.makes() for _ in range(3)] == [True] * 3
    assert not host.makes()
    host.others.asked.clear()
    monkeypatch.setattr(host.others, "oauth_provider_ids", lambda: {"codex", "openai"})
    host.makes()
    assert "openai" in host.others.asked, "the helper that is there now says whose keys depend on an account"


def test_what_changes_meanwhile_is_not_kept(host: Host) -> None:
    host.warm()
    del os.environ["A0_PERSISTENT_RUNTIME_ID"]  # the host makes one on its way
    first = host.module.get_settings()["mcp_server_token"]
    del os.environ["A0_PERSISTENT_RUNTIME_ID"]
    assert host.module.get_settings()["mcp_server_token"] != first


def test_a_file_written_a_moment_ago_is_not_trusted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs.time, "time_ns", lambda: 0)
    assert [host.makes() for _ in range(4)] == [True] * 4


def test_other_code_is_left_alone(tmp_path: Path) -> None:
    found = Host(tmp_path)
    build = global_settings.memoised(Probe(None).new_memo("settings"), lambda *_: [])
    with patched(found.module, "get_settings", build) as patches:
        assert patches.rows[0].state == "unrecognised"
