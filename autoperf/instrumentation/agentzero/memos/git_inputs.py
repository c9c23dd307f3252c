"""What branch, commit, tags and remote of a git repository depend on, and whether it has changed."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from autoperf.memo.inputs import TOO_MANY, Environment, UnkeptError
from autoperf.telemetry.git_version import Refs, folder_of, text_of

_HEAD: Final = re.compile(r"(?:ref: refs/heads/(?P<branch>[^\s\0]+)|(?P<commit>[0-9a-f]{40}))\n?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}\n?")
_INCLUDE: Final = re.compile(r"^\s*\[\s*include", re.IGNORECASE | re.MULTILINE)
# A repository with one of these is read by rules of its own: other stores of refs or objects.
_UNUSUAL: Final = ("reftable", "refs/replace", "objects/info/alternates", "info/grafts")
_LISTED: Final = ("config", "packed-refs", "shallow", "objects/pack", *_UNUSUAL)
_SYSTEM: Final = ("/etc/gitconfig", "/usr/local/etc/gitconfig", "/opt/homebrew/etc/gitconfig")
_ZONE: Final = "/etc/localtime"
_TAGS_AT_MOST: Final = 2_000
# Variables of git for its transports, its editors and its own log; any other may change what a repository is.
_HARMLESS: Final = (
    "ASKPASS", "AUTHOR_", "COMMITTER_", "CURL_", "EDITOR", "HTTP_", "LFS_", "PAGER", "PYTHON_REFRESH",
    "SEQUENCE_EDITOR", "SSH", "SSL_", "TERMINAL_PROMPT", "TRACE",
)  # fmt: skip


class Repository:
    """The files that ``root``'s git state depends on; see gitrepository-layout(5).

    What they hold is read once, when the repository is looked at: which files those are follows from it.
    """

    def __init__(self, root: str, paths: list[str], folder: str, common: str) -> None:
        self._root = root
        self._paths = paths
        self._folder = folder
        self._tags = f"{common}/refs/tags"

    @classmethod
    def at(cls, root: str) -> Repository | None:
        """The repository whose work tree is ``root``; None for one that is not of the usual kind."""
        folder = folder_of(Path(root))
        if folder is None:
            return None
        refs = Refs(folder)
        common = refs.common
        head = _HEAD.fullmatch(text_of(folder / "HEAD"))
        if head is None:
            return None
        paths = [f"{folder}/HEAD", f"{folder}/commondir"]
        if os.path.isfile(f"{root}/.git"):
            paths.append(f"{root}/.git")
        configs = [f"{common}/config", f"{folder}/config.worktree", *_user_configs()]
        paths += [f"{common}/{name}" for name in _LISTED] + configs + [_ZONE]
        commit = head["commit"]
        if head["branch"]:
            reference = f"refs/heads/{head['branch']}"
            paths += [f"{folder}/{reference}", f"{common}/{reference}"]
            commit = refs.named(reference)
        if commit is None or not _COMMIT.fullmatch(commit):
            return None
        # How far a hash is shortened depends on the other objects that begin like it.
        paths.append(f"{common}/objects/{commit[:2]}")
        if any(os.path.exists(f"{common}/{name}") for name in _UNUSUAL):
            return None
        if any(_INCLUDE.search(text_of(Path(config))) for config in configs):
            return None
        return cls(root, paths, str(folder), str(common))

    def paths(self) -> list[str]:
        """Everything that git's answers depend on; raises `UnkeptError` when that is too much to look at.

        Besides contents this is who owns what, for git refuses the repositories of others: it shows in a
        path's time of change.
        """
        tags = list(itertools.islice(_tags(self._tags), _TAGS_AT_MOST + 1))
        if len(tags) > _TAGS_AT_MOST:
            raise UnkeptError(TOO_MANY)
        return [self._root, self._folder, *self._paths, *tags]


class Surroundings:
    """What of this process git's answers depend on."""

    def __init__(self) -> None:
        self._environment = Environment(_usual)

    def now(self) -> tuple[Any, ...] | None:
        """Values to compare; None where git's answers may depend on anything else."""
        if self._environment.now() is None:
            return None
        look = os.environ.get
        return (
            look("HOME"), look("XDG_CONFIG_HOME"), look("PATH"), look("TZ"), time.tzname, time.timezone,
            os.geteuid() if hasattr(os, "geteuid") else 0,
        )  # fmt: skip


def _usual(table: Iterable[Any]) -> bool:
    for name in table:
        text = name if isinstance(name, str) else os.fsdecode(name)
        if text.startswith("GIT_") and not text[4:].startswith(_HARMLESS):
            return False
    return True


def _user_configs() -> Iterator[str]:
    home = os.environ.get("HOME", "")
    for folder in dict.fromkeys((home, os.path.expanduser("~"))):
        yield f"{folder}/.gitconfig"
        yield f"{folder}/.config/git/config"
    if os.environ.get("XDG_CONFIG_HOME"):
        yield f"{os.environ['XDG_CONFIG_HOME']}/git/config"
    yield from _SYSTEM


def _tags(folder: str) -> Iterator[str]:
    # Folders too: git replaces files by renaming, which shows there even where a file looks the same.
    yield folder
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _tags(entry.path)
        else:
            yield entry.path
