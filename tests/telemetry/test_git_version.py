"""The version of a checkout, as git itself wrote it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoperf.telemetry import git_version
from autoperf.telemetry.git_version import revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(root: Path, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    done = subprocess.run(
        ["git", "-c", "tag.gpgsign=false", "-c", "commit.gpgsign=false", *arguments],
        cwd=root,
        env=clean | who | {"GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    return tmp_path


def test_without_a_tag_it_is_the_commit(checkout: Path) -> None:
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")[:12]


@pytest.mark.parametrize("annotated", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("detached", [True, False])
def test_a_tag_of_the_commit_is_the_version(
    checkout: Path, annotated: bool, packed: bool, detached: bool
) -> None:
    git(checkout, "tag", *(["-a", "-m", "x"] if annotated else []), "v1.7")
    if packed:
        git(checkout, "pack-refs", "--all")
    if detached:
        git(checkout, "checkout", "-q", "v1.7")
    assert revision(checkout) == "v1.7"


def test_a_tag_of_an_earlier_commit_is_not(checkout: Path) -> None:
    git(checkout, "tag", "v1.7")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "two")
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")[:12]


def test_of_several_tags_the_highest_number_counts(checkout: Path) -> None:
    for tag in ("v0.9", "v0.10", "latest"):
        git(checkout, "tag", tag)
    assert revision(checkout) == "v0.10"


def test_a_worktree_has_its_own_head(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", "other", "-b", "other")
    git(checkout / "other", "commit", "-q", "--allow-empty", "-m", "two")
    git(checkout / "other", "tag", "v2")
    assert revision(checkout / "other") == "v2"
    assert revision(checkout) != "v2"


def test_what_is_no_repository_has_no_version(tmp_path: Path, checkout: Path) -> None:
    (checkout / "inner").mkdir()
    assert revision(checkout / "inner") is None
    (checkout / "inner" / ".git").write_text("gitdir: nowhere")
    assert revision(checkout / "inner") is None


def test_a_broken_repository_has_no_version(checkout: Path) -> None:
    (checkout / ".git" / "HEAD").write_bytes(b"\xff\x00 rubbish")
    assert revision(checkout) is None


def test_tags_that_git_packs_meanwhile_are_passed_over(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(checkout, "tag", "v1.6")
    walk = Path.rglob

    def vanishing(folder: Path, pattern: str) -> Iterator[Path]:
        yield from walk(folder, pattern)
        raise FileNotFoundError(folder / "release")

    monkeypatch.setattr(Path, "rglob", vanishing)
    assert revision(checkout) == "v1.6"


def test_a_file_that_is_too_long_to_be_read_is_not_taken_for_an_empty_one(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_version, "_LONGEST_FILE", 10)
    assert revision(checkout) is None
    with pytest.raises(OSError, match="too long"):
        git_version.text_of(checkout / ".git" / "config")
