"""The host's git version: asked of git again only when something in the repository has changed."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.memos.git_inputs import Repository, Surroundings
from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "git"
_REPOSITORIES: Final = 64
# Why nothing was kept.
_NO_REPOSITORY: Final = "no repository whose files are known"
_INCOMPLETE: Final = "git did not tell all"
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
    memo = probe.new_memo(SEAM, _REPOSITORIES)
    if "release" in targets:
        yield targets["release"], release(memo)
    if "version" in targets:
        yield targets["version"], version(memo)


def release(memo: Memo[Any]) -> Build:
    """Memoises ``get_repo_release_info(repo_path)``.

    Only what git said in full is kept: whatever is an error, or may be one, is the host's to find each time.
    """

    def build(original: Any, switch: Switch) -> Callable[..., Any]:
        expect_parameters(original, "repo_path")
        _expect(original, OF_A_PATH)
        world = _World(original, switch)
        return memo.wrapper(SEAM, key=world.key, inputs=_inputs, freeze=_freezing(_whole), thaw=_copy)

    return build


def version(memo: Memo[Any]) -> Build:
    """Memoises ``get_git_info()`` where it asks git itself about the host's own folder."""

    def build(original: Any, switch: Switch) -> Callable[..., Any]:
        expect_parameters(original)
        _expect(original, OF_THE_HOST)
        world = _World(original, switch)
        freeze = _freezing(lambda found: bool(found["tag"]))
        return memo.wrapper(
            SEAM, key=lambda: world.key(world.base()), inputs=_inputs, freeze=freeze, thaw=_copy
        )

    return build


def _inputs(noted: Inputs, key: tuple[Any, ...]) -> None:
    repository = Repository.at(key[0])
    if repository is None:
        raise UnkeptError(_NO_REPOSITORY)
    for path in repository.paths():
        noted.file(path)


def _freezing(complete: Callable[[Any], bool]) -> Callable[[Any, Any], Any]:
    def freeze(answer: Any, _key: Any) -> Any:
        if not complete(answer):
            raise UnkeptError(_INCOMPLETE)
        return copy.deepcopy(answer)

    return freeze


def _copy(answer: Any, _key: Any) -> Any:
    return copy.deepcopy(answer)


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
