"""The host's git version: asked of git again only when something in the repository has changed."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError, guarded
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos import git_inputs
from autoperf.instrumentation.agentzero.memos.git_inputs import Repository, Surroundings
from autoperf.memo.snapshot import Look, look
from autoperf.memo.watch import Seen
from autoperf.patching.patch import Switch, expect_parameters
from autoperf.patching.sources import digest

SEAM: Final = "git"
_REPOSITORIES: Final = 64
# Why git was asked.
_NEW: Final = "asked for the first time, or changed since"
_NO_REPOSITORY: Final = "no repository whose files are known"
_INCOMPLETE: Final = "git did not tell all"
_UNSETTLED: Final = "it had just changed, or changed meanwhile"
# By source, and the tags of the original that carry it.
OF_A_PATH: Final = {
    "e49be466b512eccc617e16f7d14cfb03449d8ca29b08873524556ae40ca5cb0a",  # v0.9.9
    "6386dd60326711f87740672d18681e6422063948f1bef9bfede0a80a397a1a36",  # v1.0 - v2.6
}
OF_THE_HOST: Final = {
    "5384977f9df010235bfaa7c8a25e63314690902fa54ddf2c5961e22bc7a10bb0",  # v0.8
    "88a17a358c74faabccf077658546751634dee52cf81ab4cbc394811026278f1f",  # v0.8.1 - v0.9.8
}

Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """``release``: ``get_repo_release_info(repo_path)``, ``version``: ``get_git_info()`` of before."""
    releases = Releases(probe)
    if "release" in targets:
        yield targets["release"], releases.of_a_path
    if "version" in targets:
        yield targets["version"], releases.of_the_host


class Releases:
    """What git said of a few repositories, with a stamp each of what it depends on.

    Only what git said in full is kept: whatever is an error, or may be one, is the host's to find each time.
    """

    def __init__(self, probe: Probe) -> None:
        self._counter = probe.memo(SEAM)
        self._holds = probe.vigil.holds
        self._kept: dict[Any, _Answer] = {}
        probe.clears(SEAM, self._clear)

    def _clear(self) -> int:
        count = len(self._kept)
        self._kept.clear()
        return count

    def of_a_path(self, original: Callable[[str], Any], switch: Switch) -> Callable[..., Any]:
        """Wrapper for ``get_repo_release_info(repo_path)``."""
        expect_parameters(original, "repo_path")
        _expect(original, OF_A_PATH)
        world = _World(original, switch)

        def get_repo_release_info(call: Any, repo_path: Any) -> Any:
            return self._answer(repo_path, world, lambda: call(repo_path), _whole)

        return get_repo_release_info

    def of_the_host(self, original: Callable[[], Any], switch: Switch) -> Callable[..., Any]:
        """Wrapper for ``get_git_info()`` where it asks git itself about the host's own folder."""
        expect_parameters(original)
        _expect(original, OF_THE_HOST)
        world = _World(original, switch)

        def get_git_info(call: Any) -> Any:
            root = None
            with guarded(SEAM):
                root = world.base()
            return self._answer(root, world, call, lambda found: bool(found["tag"]))

        return get_git_info

    def _answer(
        self, root: Any, world: _World, ask: Callable[[], Any], complete: Callable[[Any], bool]
    ) -> Any:
        key = repository = stamp = None
        with guarded(SEAM):
            key = world.key(root)
            kept = None if key is None else self._kept.get(key)
            if kept is not None:
                if self._holds(kept):
                    self._counter.count(hit=True)
                    return copy.deepcopy(kept.answer)
                self._kept.pop(key, None)
            repository = None if key is None else Repository.at(root)
            stamp = None if repository is None else repository.stamp()
        settled = stamp is not None and git_inputs.settled(stamp)
        self._counter.count(hit=False)
        answer = ask()
        with guarded(SEAM):
            if repository is None:
                reason = _NO_REPOSITORY
            elif not settled:
                reason = _UNSETTLED
            else:
                reason = self._keep(key, answer, complete, repository, stamp)
            self._counter.missed_for(reason)
        return answer

    def _keep(
        self, key: Any, answer: Any, complete: Callable[[Any], bool], repository: Repository, stamp: Any
    ) -> str:
        """Keep ``answer`` where that is safe; why it had to be asked for."""
        if not complete(answer):
            return _INCOMPLETE
        looks = _looks(repository)
        # What was looked at meanwhile must be what git was asked about.
        if looks is None or repository.stamp() != stamp:
            return _UNSETTLED
        if len(self._kept) >= _REPOSITORIES:
            self._kept.clear()
        self._kept[key] = _Answer(copy.deepcopy(answer), looks)
        return _NEW


class _Answer(Seen):
    __slots__ = ("answer",)

    def __init__(self, answer: Any, looks: dict[str, Look]) -> None:
        super().__init__(looks)
        self.answer = answer


def _looks(repository: Repository) -> dict[str, Look] | None:
    paths = repository.paths()
    return None if paths is None else {path: look(path) for path in paths}


class _World:
    """Everything but the repository that an answer depends on."""

    def __init__(self, original: Any, switch: Switch) -> None:
        self._switch = switch
        self._globals: dict[str, Any] = inspect.unwrap(original).__globals__
        self._repo = self._globals.get("Repo")
        self._surroundings = Surroundings()

    def base(self) -> Any:
        return self._globals["files"].get_base_dir()

    def key(self, root: Any) -> Any:
        if self._globals.get("Repo") is not self._repo:
            self._switch.stand_aside("Repo, which it relies on, was replaced")
            return None
        if self._switch.aside is not None:
            self._switch.act_again()
        if type(root) is not str or not os.path.isabs(root):
            return None
        around = self._surroundings.now()
        if around is None:
            return None
        zone = None
        if "Localization" in self._globals:
            # Only one that is there already: making it writes to the host's .env.
            localization = vars(self._globals["Localization"]).get("_instance")
            if localization is None:
                return None
            zone = repr(localization.get_tzinfo())
        return root, zone, *around


def _expect(original: Any, known: set[str]) -> None:
    if digest(original) not in known:
        raise AutoperfError("another way of asking git than the ones that are known")


def _whole(info: Any) -> bool:
    return bool(info.is_git_repo and not info.error and info.head and info.release and info.release.tag)
