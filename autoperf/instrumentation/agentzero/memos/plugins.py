"""Where a plugin's file may lie (v0.9.9 on): worked out once, looked up every time."""

from __future__ import annotations

import glob
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError, asked, guarded
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.snapshot import Look, Witness
from autoperf.memo.watch import Seen, Vigil
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest

SEAM: Final = "plugin files"
# find_plugin_assets by source; they differ in what they do for projects only.
KNOWN: Final = {
    "e124df8f7da8c223cb71a2baf3b45b16278364700b558159d5f9eb1039a04715",  # v0.9.9 - v1.10
    "fb454e2b752946fb24273ff877339ebc331fb96927b4810352c2421708007b2e",  # v1.12 - v2.6
}
_PLACES_KEPT: Final = 1_000
# Files that were found elsewhere than worked out, with none that was not.
_UNFIT: Final = 20
_OPTIONS: Final = frozenset({"plugin_name", "project_name", "agent_profile", "only_first"})

Find = Callable[..., list[dict[str, str]]]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Find, Switch], Find]]]:
    """``asset``: ``find_plugin_assets(*subpaths, plugin_name, project_name, agent_profile, only_first)``."""
    if "asset" in targets:
        yield targets["asset"], finding(probe.vigil)


def finding(vigil: Vigil) -> Callable[[Find, Switch], Find]:
    """Where a file lies is looked up again when something on the way to it has changed."""

    def build(original: Any, switch: Switch) -> Callable[..., Any]:
        return _finding(original, vigil, switch)

    return build


def _finding(original: Any, vigil: Vigil, switch: Switch) -> Callable[..., Any]:
    """Replaces ``find_plugin_assets`` for one file of one plugin, without a project and without wildcards.

    That is what the configuration of a plugin is looked for with, in some forty places at each call.
    """
    host: Any = inspect.unwrap(original)
    if digest(host) not in KNOWN:
        raise AutoperfError("another way of looking for a plugin's files than the ones that are known")
    places = _Places(host, vigil, switch)

    def find_plugin_assets(call: Any, /, *subpaths: Any, **options: Any) -> Any:
        key = None
        if options.keys() == _OPTIONS and options["only_first"] is True:
            key = (options["plugin_name"], options["agent_profile"], *subpaths)
            if options["project_name"] != "" or any(type(part) is not str for part in key):
                key = None
        known = None if key is None else places.kept.get(key)
        if known is not None:
            answer = known.first()
            if answer is not None:
                return answer
        found: list[dict[str, str]] = call(*subpaths, **options)
        if key is not None and key not in places.unfit:
            with guarded(SEAM):
                places.learn(key, found)
        return found

    return find_plugin_assets


class _Found(Seen):
    __slots__ = ("at",)

    def __init__(self, at: int, looks: dict[str, Look]) -> None:
        super().__init__(looks)
        self.at = at


class _Candidates:
    """Paths in the host's order, and the enabled plugins (``bases``) that ``plugins`` was worked out from."""

    __slots__ = ("_bases", "_enabled", "_found", "_paths", "_profile", "_vigil", "own")

    def __init__(
        self,
        profile: str,
        own: tuple[str, ...],
        plugins: tuple[str, ...],
        bases: tuple[str, ...],
        general: tuple[str, ...],
        enabled: Callable[[], list[str]],
        vigil: Vigil,
    ) -> None:
        self.own = own
        self._profile = profile
        self._paths = (*own, *plugins, *general)
        self._bases = bases
        self._enabled = enabled
        self._vigil = vigil
        self._found: _Found | None = None

    def first(self) -> list[dict[str, str]] | None:
        """The first that exists, as the host tells it; a fresh list. None where only the host can tell."""
        found = self._found
        at = found.at if found is not None and self._vigil.holds(found) else self._look()
        # Not before here: the host does not ask for its plugins either when it has found the file.
        if self._profile and at >= len(self.own) and asked(lambda: tuple(self._enabled())) != self._bases:
            return None
        if at == len(self._paths):
            return []
        # The last two belong to no profile.
        profile = self._profile if at < len(self._paths) - 2 else ""
        return [{"project_name": "", "agent_profile": profile, "path": self._paths[at]}]

    def _look(self) -> int:
        """The number of the first path that exists, or how many there are."""
        witness = Witness()
        at, sure = 0, True
        for path in self._paths:
            there: Any = None
            try:
                there = witness.note(path)
            except (OSError, ValueError):
                sure = False  # none to the host
            if there is not None:
                break
            at += 1
        self._found = _Found(at, witness.looks) if sure else None
        return at


class _Places:
    """The candidates of every file that was asked for, as long as the host has the same plugins."""

    def __init__(self, host: Any, vigil: Vigil, switch: Switch) -> None:
        self._switch = switch
        self._names: dict[str, Any] = host.__globals__
        self._vigil = vigil
        self._package = self._names["__name__"].rpartition(".")[0]
        self.kept: dict[tuple[str, ...], _Candidates] = {}
        self.unfit: set[tuple[str, ...]] = set()

    def learn(self, key: tuple[str, ...], found: list[dict[str, str]]) -> None:
        """Work out the candidates of ``key``; kept only if they give what the host has just found."""
        if len(self.kept) + len(self.unfit) >= _PLACES_KEPT:
            self.kept.clear()
            self.unfit.clear()
        candidates = self._candidates(*key)
        if candidates is not None and any(map(os.path.exists, candidates.own)):
            return  # the host found it at once, and so knows nothing of its plugins
        if candidates is None or candidates.first() != found:
            self.unfit.add(key)
            if len(self.unfit) == _UNFIT and not self.kept:
                self._switch.stand_aside("the host finds files of plugins in other places than are known")
        else:
            self.kept[key] = candidates
            self._switch.act_again()

    def _candidates(self, plugin: str, profile: str, *subpaths: str) -> _Candidates | None:
        files = self._names["files"]
        subagents = sys.modules.get(f"{self._package}.subagents")
        at, rest = files.get_abs_path, (files.PLUGINS_DIR, plugin, *subpaths)
        own: tuple[str, ...] = ()
        bases: tuple[str, ...] = ()
        general: tuple[str, ...] = (at(files.USER_DIR, *rest), at(*rest))

        def enabled() -> list[str]:
            found: list[str] = self._names["get_enabled_plugin_paths"](None)
            return found

        if profile:
            if subagents is None:
                return None
            own = (at(subagents.USER_AGENTS_DIR, profile, *rest),)
            general = (at(subagents.DEFAULT_AGENTS_DIR, profile, *rest), *general)
            bases = () if os.path.exists(own[0]) else tuple(enabled())
        plugins = tuple(at(base, files.AGENTS_DIR, profile, *rest) for base in bases)
        if any(map(glob.has_magic, (*own, *plugins, *general))):
            return None
        return _Candidates(profile, own, plugins, bases, general, enabled, self._vigil)
