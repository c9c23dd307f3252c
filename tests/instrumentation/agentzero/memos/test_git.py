"""git's version of the host: what git itself would say at that moment, for every change there can be."""

from __future__ import annotations

import datetime
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import git as gitversion
from autoperf.instrumentation.agentzero.memos import git_inputs
from autoperf.patching.sources import digest
from tests.seam import module_of, patched

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("both_ways")]

HOST = """
import datetime, os, subprocess
from types import SimpleNamespace

asked = []

class Repo:
    def __init__(self, root):
        self.root = root

    def say(self, *words, missing=""):
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else missing

def get_repo_release_info(repo_path):
    asked.append(repo_path)
    repo = Repo(repo_path)
    commit = repo.say("rev-parse", "--verify", "HEAD")
    at = repo.say("log", "-1", "--format=%ct")
    if not commit or repo.say("rev-parse", "--show-prefix", missing="x"):
        return SimpleNamespace(is_git_repo=False, error="none", head=None, release=None)
    zone = Localization._instance.get_tzinfo()
    return SimpleNamespace(
        is_git_repo=True,
        error="",
        remote=repo.say("config", "remote.origin.url"),
        branch=repo.say("symbolic-ref", "--short", "HEAD"),
        head=SimpleNamespace(hash=commit, at=str(datetime.datetime.fromtimestamp(int(at), zone))),
        release=SimpleNamespace(tag=repo.say("describe", "--tags", "--always"), tags=repo.say("tag")),
    )

def get_git_info():
    asked.append("own")
    repo = Repo(files.get_base_dir())
    commit = repo.say("rev-parse", "--verify", "HEAD")
    if not commit:
        raise ValueError("no repository")
    return {"commit_hash": commit, "tag": repo.say("describe", "--tags")}
"""


def git(root: Path, *words: str) -> str:
    """What git prints; author and dates are fixed, no configuration but the repository's own."""
    identity = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *words], cwd=root, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(root: Path, text: str) -> None:
    (root / "file").write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", text)


class Localization:
    """As the host has it: one instance, made when it is first needed."""

    _instance: Any = None

    def __init__(self, zone: Any) -> None:
        self.zone = zone

    def get_tzinfo(self) -> Any:
        return self.zone


class Host:
    """The host's module with our patches on it, and a repository that has settled."""

    def __init__(self, module: ModuleType, root: Path, probe: Probe) -> None:
        self.module: Any = module
        self.root = root
        self.probe = probe
        self.bare: Callable[[str], Any] = module.get_repo_release_info

    def asks(self, root: Path | None = None) -> bool:
        """Whether the host is asked again; what is answered must be what git says now."""
        place = str(root or self.root)
        before = len(self.module.asked)
        found = self.module.get_repo_release_info(place)
        again = len(self.module.asked) > before
        assert found == self.bare(place)
        return again


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # As if every question came a while after every change.
    monkeypatch.setattr(git_inputs.time, "time_ns", lambda: int((time.time() + 5) * 1e9))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "one")
    git(folder, "tag", "v1")
    return folder


@pytest.fixture
def host(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    files = ModuleType("files")
    files.get_base_dir = lambda: str(root)  # type: ignore[attr-defined]
    place = type("Localization", (Localization,), {"_instance": Localization(datetime.timezone.utc)})
    module = module_of("gitversion_host", HOST, files=files, Localization=place)
    monkeypatch.setattr(gitversion, "OF_A_PATH", {digest(module.get_repo_release_info)})
    monkeypatch.setattr(gitversion, "OF_THE_HOST", {digest(module.get_git_info)})
    probe = Probe(None)
    found = Host(module, root, probe)
    targets = {"release": "gitversion_host:get_repo_release_info", "version": "gitversion_host:get_git_info"}
    (_, release), (_, version) = gitversion.rows(targets, probe)
    with patched(module, "get_repo_release_info", release), patched(module, "get_git_info", version):
        yield found


def test_git_is_asked_once(host: Host) -> None:
    assert [host.asks() for _ in range(4)] == [True, False, False, False]
    assert host.probe.memos["git"].as_row()["hits"] == 3


def test_answers_are_fresh(host: Host) -> None:
    for _ in range(3):
        found = host.module.get_repo_release_info(str(host.root))
        assert found.release.tag == "v1"
        found.release.tag = found.head = "mine"


def _commits(root: Path) -> None:
    commit(root, "two")


def _tags(root: Path) -> None:
    git(root, "tag", "v2")


def _tags_below(root: Path) -> None:
    git(root, "tag", "series/v3")


def _annotates(root: Path) -> None:
    git(root, "tag", "-a", "-m", "text", "v4")


def _moves_the_tag(root: Path) -> None:
    commit(root, "two")
    git(root, "tag", "-f", "v1")


def _deletes_the_tag(root: Path) -> None:
    git(root, "tag", "-d", "v1")


def _packs(root: Path) -> None:
    git(root, "pack-refs", "--all")
    git(root, "tag", "-f", "v5")
    git(root, "pack-refs", "--all")


def _loses_a_packed_tag(root: Path) -> None:
    packed = root / ".git" / "packed-refs"
    kept = [line for line in packed.read_text().splitlines() if not line.endswith("/v1")]
    packed.write_text("\n".join(kept) + "\n")


def _collects(root: Path) -> None:
    git(root, "gc", "-q")


def _branches(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "other")


def _detaches(root: Path) -> None:
    commit(root, "two")
    git(root, "checkout", "-q", "HEAD~1")


def _renames(root: Path) -> None:
    git(root, "branch", "-m", "renamed")


def _amends(root: Path) -> None:
    git(root, "commit", "-q", "--amend", "-m", "another")


def _resets(root: Path) -> None:
    commit(root, "two")
    git(root, "reset", "-q", "--hard", "HEAD~1")
    git(root, "tag", "back")


def _gets_a_remote(root: Path) -> None:
    git(root, "remote", "add", "origin", "https://example.org/a/b.git")


def _abbreviates(root: Path) -> None:
    commit(root, "two")
    git(root, "config", "core.abbrev", "12")


def _fetches(root: Path) -> None:
    other = root.parent / "other"
    git(root.parent, "clone", "-q", str(root), str(other))
    commit(other, "theirs")
    git(other, "tag", "v9")
    git(root, "pull", "-q", "--tags", str(other), "main")


def _is_broken(root: Path) -> None:
    (root / ".git" / "HEAD").write_text("nonsense")


def _is_gone(root: Path) -> None:
    os.rename(root / ".git", root / "gone")


CHANGES = [
    _commits, _tags, _tags_below, _annotates, _moves_the_tag, _deletes_the_tag, _packs, _collects, _branches,
    _detaches, _renames, _amends, _resets, _gets_a_remote, _abbreviates, _fetches, _is_broken, _is_gone,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_a_repository_that_changes(host: Host, change: Callable[[Path], None]) -> None:
    host.asks()
    assert not host.asks()
    change(host.root)
    assert host.asks()
    host.asks()
    host.asks()


def test_a_packed_tag_that_goes(host: Host) -> None:
    git(host.root, "pack-refs", "--all")
    host.asks()
    assert not host.asks()
    _loses_a_packed_tag(host.root)
    assert host.asks()


@pytest.mark.parametrize("before", [_branches, _detaches, _packs, _collects], ids=lambda one: one.__name__)
@pytest.mark.parametrize("change", [_commits, _tags, _packs], ids=lambda one: one.__name__)
def test_one_change_after_the_other(
    host: Host, before: Callable[[Path], None], change: Callable[[Path], None]
) -> None:
    before(host.root)
    host.asks()
    assert not host.asks()
    change(host.root)
    host.asks()
    assert not host.asks()


def test_a_linked_work_tree(host: Host) -> None:
    tree = host.root.parent / "tree"
    git(host.root, "worktree", "add", "-q", "-b", "side", str(tree))
    assert host.asks(tree)
    assert not host.asks(tree)
    for place in (tree, host.root):
        commit(place, f"in {place.name}")
        assert host.asks(place)
    git(host.root, "tag", "v8")
    assert host.asks(tree)
    assert not host.asks(tree)
    git(tree, "checkout", "-q", "--detach")
    assert host.asks(tree)


def test_two_repositories_do_not_mix(host: Host) -> None:
    other = host.root.parent / "second"
    git(host.root.parent, "clone", "-q", str(host.root), str(other))
    commit(other, "theirs")
    for _ in range(3):
        host.asks()
        host.asks(other)
    row = host.probe.memos["git"].as_row()
    assert (row["hits"], row["why"]) == (4, {"asked for the first time, or changed since": 2})


def test_why_git_is_asked_every_time_is_counted(host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "no repository"
    folder.mkdir()
    for _ in range(3):
        host.asks(folder)
    row = host.probe.memos["git"].as_row()
    assert (row["hits"], row["why"]) == (0, {"no repository whose files are known": 3})


def test_a_global_setting_counts(host: Host, tmp_path: Path) -> None:
    commit(host.root, "two")
    host.asks()
    assert not host.asks()
    (tmp_path / ".gitconfig").write_text("[core]\n\tabbrev = 20\n")
    assert host.asks()
    assert not host.asks()
    (tmp_path / ".gitconfig").write_text("[core]\n\tabbrev = 30\n")
    assert host.asks()


def _includes(host: Host, _monkeypatch: pytest.MonkeyPatch) -> None:
    git(host.root, "config", "include.path", "elsewhere")


def _borrows(host: Host, _monkeypatch: pytest.MonkeyPatch) -> None:
    (host.root / ".git/objects/info/alternates").write_text("/nowhere\n")


def _is_led(_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")


@pytest.mark.parametrize("unusual", [_includes, _borrows, _is_led], ids=lambda one: one.__name__)
def test_an_unusual_repository_is_the_hosts(
    host: Host, monkeypatch: pytest.MonkeyPatch, unusual: Callable[[Host, pytest.MonkeyPatch], None]
) -> None:
    host.asks()
    unusual(host, monkeypatch)
    assert [host.asks() for _ in range(3)] == [True] * 3


def test_a_zone_that_changes(host: Host) -> None:
    host.asks()
    host.module.Localization._instance.zone = datetime.timezone(datetime.timedelta(hours=5))
    assert host.asks()
    assert not host.asks()


def test_what_is_not_there_yet_is_not_made(host: Host) -> None:
    place, host.module.Localization._instance = host.module.Localization._instance, None
    with pytest.raises(AttributeError):
        host.module.get_repo_release_info(str(host.root))
    host.module.Localization._instance = place
    assert host.asks()


@pytest.mark.parametrize("name", ["", "relative", "/no/such/place"])
def test_no_repository_is_the_hosts_to_find(host: Host, tmp_path: Path, name: str) -> None:
    for _ in range(2):
        if not name:
            assert host.asks(tmp_path)
        else:
            with pytest.raises(FileNotFoundError):
                host.module.get_repo_release_info(name)


def test_a_repository_that_has_just_changed_is_not_trusted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_inputs.time, "time_ns", lambda: 0)
    assert [host.asks() for _ in range(3)] == [True] * 3


def test_the_question_of_older_hosts(host: Host) -> None:
    ask = host.module.get_git_info
    first = ask()
    first["tag"] = "mine"
    assert ask() == ask()
    assert ask()["tag"] == "v1"
    assert host.module.asked.count("own") == 1
    git(host.root, "tag", "-d", "v1")
    assert ask()["tag"] == ""
    ask()
    assert host.module.asked.count("own") == 3  # no tag may be an error: the host's to find
    _is_gone(host.root)
    with pytest.raises(ValueError, match="no repository"):
        ask()
