"""The account that is asked for at every reading of the settings: what the host says at that moment."""

from __future__ import annotations

import json
import threading
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
from tests.seam import module_of, patched

HOST = """
import json, os, threading
from pathlib import Path

AUTH_FILENAME = "auth.json"
_AUTH_THREAD_LOCK = threading.RLock()
asked = []

def codex_config():
    return {"auth_file_path": explicit()}

def explicit():
    return chosen[0]

def _own():
    return files.get_abs_path("usr", "plugins", "_oauth", "codex")

def _auth_lock_path(path):
    return Path(_own()) / "locks" / (str(path.resolve()).replace("/", "_") + ".lock")

def _resolved():
    path = Path(explicit()) if explicit() else Path(_own()) / AUTH_FILENAME
    path = path.expanduser().resolve()
    for home in (Path.home() / ".codex", Path.home() / ".chatgpt-local", os.getenv("CODEX_HOME")):
        if home and path == (Path(home) / AUTH_FILENAME).resolve():
            raise RuntimeError("a private file")
    return path

def status():
    asked.append(explicit())
    try:
        path = _resolved()
    except Exception as error:
        return {"connected": False, "auth_file_path": "", "discovered_auth_files": [], "message": str(error)}
    found = [str(path)] if path.is_file() else []
    result = {"connected": False, "auth_file_path": str(path), "discovered_auth_files": found}
    lock = _auth_lock_path(path)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _AUTH_THREAD_LOCK:
        with lock.open("a+b"):
            data = json.loads(path.read_text()) if path.is_file() else {}
    if not data.get("token"):
        return result | {"message": "no account"}
    return result | {"connected": True, "account": data["token"]}
"""


class Host:
    """The host's module with our patch on it; ``root`` is its folder, ``home`` its user's."""

    def __init__(self, module: Any, root: Path, bare: Any, probe: Probe) -> None:
        self.module, self.bare, self.probe = module, bare, probe
        self.own = root / "a0" / "usr" / "plugins" / "_oauth" / "codex"
        self.home = root / "home"

    def asks(self) -> bool:
        """Whether the host looks itself; what comes out must be what it says now."""
        before = len(self.module.asked)
        found = self.module.status()
        again = len(self.module.asked) > before
        assert found == self.bare()
        assert list(found) == list(self.bare())
        found["discovered_auth_files"].append("mine")
        found["connected"] = "mine"
        return again

    def connect(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"token": "t"}))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    module: ModuleType = module_of(
        "accounts_host",
        HOST,
        chosen=[""],
        files=SimpleNamespace(get_abs_path=lambda *parts: str(tmp_path.joinpath("a0", *parts))),
    )
    monkeypatch.setattr(reliance, "digest", lambda found: found.__name__)
    monkeypatch.setattr(settings, "KNOWN_ACCOUNTS", {"accounts_host"})
    # As if every question came a while after every change.
    monkeypatch.setattr(inputs.time, "time_ns", lambda: int((time.time() + 5) * 1e9))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CODEX_HOME", "CHATGPT_LOCAL_HOME"):
        monkeypatch.delenv(name, raising=False)
    probe = Probe(None)
    found = Host(module, tmp_path, module.status, probe)
    with patched(module, "status", settings.account(probe.new_memo("accounts"))):
        yield found


def test_known_from_the_second_answer_on(host: Host) -> None:
    # The first has to make the lock's file.
    assert [host.asks() for _ in range(5)] == [True, True, False, False, False]
    assert host.probe.memos["accounts"].as_row()["hits"] == 3


def settle(host: Host) -> None:
    host.asks(), host.asks()
    assert not host.asks()


def test_an_account_shows_at_once_and_goes_at_once(host: Host) -> None:
    settle(host)
    host.connect(host.own / "auth.json")
    assert [host.asks() for _ in range(3)] == [True] * 3
    assert host.module.status()["connected"]
    (host.own / "auth.json").unlink()
    assert not host.module.status()["connected"]
    settle(host)


def test_the_configured_file_counts(host: Host, tmp_path: Path) -> None:
    settle(host)
    host.module.chosen[0] = str(tmp_path / "elsewhere" / "auth.json")
    assert host.asks()
    settle(host)
    host.connect(tmp_path / "elsewhere" / "auth.json")
    assert host.module.status()["connected"]


@pytest.mark.parametrize("link", ["folder", "file", "dangling file", "known file", "home"])
def test_a_link_on_the_way_is_the_hosts_business(host: Host, tmp_path: Path, link: str) -> None:
    settle(host)
    if link == "folder":
        (tmp_path / "a0").rename(tmp_path / "moved")
        (tmp_path / "a0").symlink_to(tmp_path / "moved")
    elif link == "file":
        host.connect(tmp_path / "there.json")
        (host.own / "auth.json").symlink_to(tmp_path / "there.json")
        assert host.module.status()["connected"]
    elif link == "dangling file":
        (host.own / "auth.json").symlink_to(tmp_path / "nowhere")
    elif link == "known file":
        (host.home / ".codex").mkdir(parents=True)
        (host.home / ".codex" / "auth.json").symlink_to(host.own / "auth.json")
        assert host.module.status()["message"] == "a private file"
    else:
        host.own.joinpath("auth.json").parent.mkdir(exist_ok=True)
        host.home.mkdir()
        (host.home / ".codex").symlink_to(host.own)
        assert host.module.status()["message"] == "a private file"
    assert [host.asks() for _ in range(3)] == [True] * 3


def test_another_home_is_another_question(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(host)
    monkeypatch.setenv("CODEX_HOME", str(host.own))
    assert host.asks()
    assert host.module.status()["message"] == "a private file"
    monkeypatch.setenv("HOME", str(host.home / "other"))
    assert host.asks()


@pytest.mark.parametrize("path", ["relative/auth.json", "~/auth.json", "/tmp/../tmp/autoperf-none/auth.json"])
def test_a_path_that_has_to_be_worked_out_is_the_hosts_business(host: Host, path: str) -> None:
    host.module.chosen[0] = path
    assert [host.asks() for _ in range(4)] == [True] * 4


def test_a_name_that_no_file_can_have_is_the_hosts_business(host: Host) -> None:
    host.module.chosen[0] = "/nowhere/a\0b/auth.json"
    assert [host.asks() for _ in range(3)] == [True] * 3


def test_without_the_lock_the_host_makes_it_again(host: Host) -> None:
    settle(host)
    lock = next((host.own / "locks").iterdir())
    lock.unlink()
    host.module.status()
    assert lock.exists()


def test_while_somebody_writes_the_account_one_waits_as_ever(host: Host) -> None:
    settle(host)
    lock = host.module._AUTH_THREAD_LOCK
    answers: list[Any] = []
    other = threading.Thread(target=lambda: answers.append(host.module.status()))
    with lock:
        other.start()
        other.join(0.05)
        assert answers == []
        host.connect(host.own / "auth.json")
    other.join()
    assert answers[0]["connected"]


def test_a_function_of_the_hosts_that_was_replaced_is_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(host)
    monkeypatch.setattr(host.module, "explicit", lambda: "/nowhere/auth.json")
    assert [host.asks() for _ in range(3)] == [True] * 3


def test_what_the_host_lacks_it_says_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(host)
    monkeypatch.delitem(vars(host.module), "_AUTH_THREAD_LOCK")
    with pytest.raises(NameError, match="_AUTH_THREAD_LOCK"):
        host.module.status()


def test_cleared_it_is_asked_again(host: Host) -> None:
    settle(host)
    assert [clear() for clear in host.probe.clearing["accounts"]] == [1]
    assert host.asks()
    assert [clear() for clear in host.probe.clearing["accounts"]] == [1]
    assert [clear() for clear in host.probe.clearing["accounts"]] == [0]


def test_without_a_home_only_the_host_can_tell(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(host)
    monkeypatch.delenv("HOME")
    assert [host.asks() for _ in range(3)] == [True] * 3
