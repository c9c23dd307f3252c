"""Where the file of a plugin lies (v0.9.9 on), looked up anew only when something on the way has changed."""

from __future__ import annotations

import glob
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from autoperf.errors import AutoperfError, asked
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest

SEAM: Final = "plugin files"
# find_plugin_assets by source; they differ in what they do for projects only.
KNOWN: Final = {
    "e124df8f7da8c223cb71a2baf3b45b16278364700b558159d5f9eb1039a04715",  # v0.9.9 - v1.10
    "fb454e2b752946fb24273ff877339ebc331fb96927b4810352c2421708007b2e",  # v1.12 - v2.6
}
_FILES_KEPT: Final = 1_000
# Files in a row that were found elsewhere than worked out.
_UNFIT: Final = 20
_OPTIONS: Final = frozenset({"plugin_name", "project_name", "agent_profile", "only_first"})
_ELSEWHERE: Final = "another answer than its files give"
_PATTERN: Final = "a path that is a pattern"

Find = Callable[..., list[dict[str, str]]]


class Question(NamedTuple):
    """Where is one file of one plugin? ``bases`` are the enabled plugins, where the host asks for them."""

    plugin: str
    profile: str
    subpaths: tuple[str, ...]
    bases: tuple[str, ...]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Find, Switch], Find]]]:
    """``asset``: ``find_plugin_assets(*subpaths, plugin_name, project_name, agent_profile, only_first)``."""
    if "asset" in targets:
        yield targets["asset"], first_asset(probe.new_memo(SEAM, _FILES_KEPT))


def first_asset(memo: Memo[list[dict[str, str]]]) -> Callable[[Find, Switch], Find]:
    """Memoises ``find_plugin_assets`` for one file of one plugin, without a project and without wildcards.

    That is what the configuration of a plugin is looked for with, in some forty places at each call.
    """

    def build(original: Any, switch: Switch) -> Find:
        host: Any = inspect.unwrap(original)
        if digest(host) not in KNOWN:
            raise AutoperfError("another way of looking for a plugin's files than the ones that are known")
        files = _Files(host.__globals__, switch)
        return memo.wrapper(SEAM, key=files.key, inputs=files.inputs, freeze=files.freeze, thaw=_copy)

    return build


def _copy(found: list[dict[str, str]], _question: Question) -> list[dict[str, str]]:
    return [dict(one) for one in found]


class _Files:
    """Where the host's function looks; ``names`` are those of its module."""

    def __init__(self, names: dict[str, Any], switch: Switch) -> None:
        self._names = names
        self._switch = switch
        self._elsewhere = 0
        self._package = names["__name__"].rpartition(".")[0]

    def key(self, *subpaths: Any, **options: Any) -> Question | None:
        """The question, where it is for one file of a plugin; None for any other."""
        if options.keys() != _OPTIONS or options["only_first"] is not True or options["project_name"] != "":
            return None
        plugin, profile = options["plugin_name"], options["agent_profile"]
        if any(type(part) is not str for part in (plugin, profile, *subpaths)):
            return None
        question = Question(plugin, profile, subpaths, ())
        if profile:
            own = asked(lambda: self._own(question))
            if own is None:
                return None
            if not os.path.exists(own):  # else the host asks for no plugins
                bases = asked(lambda: self._names["get_enabled_plugin_paths"](None))
                return None if bases is None else question._replace(bases=tuple(bases))
        return question

    def inputs(self, noted: Inputs, question: Question) -> None:
        """Every place up to the first that exists."""
        paths = self._paths(question)
        if any(map(glob.has_magic, paths)):
            raise UnkeptError(_PATTERN)
        for path in paths:
            if noted.exists(path):
                return

    def freeze(self, found: list[dict[str, str]], question: Question) -> list[dict[str, str]]:
        """A copy; refused where it was found by a path that was not looked at."""
        if [one["path"] for one in found] != list(filter(os.path.exists, self._paths(question)))[:1]:
            self._elsewhere += 1
            if self._elsewhere == _UNFIT:
                self._switch.stand_aside("the host finds files of plugins in other places than are known")
            raise UnkeptError(_ELSEWHERE)
        self._elsewhere = 0
        self._switch.act_again()
        return _copy(found, question)

    def _own(self, question: Question) -> str | None:
        subagents = sys.modules.get(f"{self._package}.subagents")
        if subagents is None:
            return None
        path: str = self._at(subagents.USER_AGENTS_DIR, question.profile, question)
        return path

    def _at(self, *parts: Any) -> Any:
        files = self._names["files"]
        *above, question = parts
        return files.get_abs_path(*above, files.PLUGINS_DIR, question.plugin, *question.subpaths)

    def _paths(self, question: Question) -> list[str]:
        """In the host's order."""
        files, profile = self._names["files"], question.profile
        general = [self._at(files.USER_DIR, question), self._at(question)]
        if not profile:
            return general
        subagents = sys.modules[f"{self._package}.subagents"]
        plugins = [self._at(base, files.AGENTS_DIR, profile, question) for base in question.bases]
        bundled = self._at(subagents.DEFAULT_AGENTS_DIR, profile, question)
        return [self._at(subagents.USER_AGENTS_DIR, profile, question), *plugins, bundled, *general]
