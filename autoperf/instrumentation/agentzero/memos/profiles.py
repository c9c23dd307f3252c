"""The list of agent profiles (v0.9.8 on), part of every prompt: read again only when a file has changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import asked, guarded
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.filesystems import Folders
from autoperf.memo.memo import Kept
from autoperf.memo.snapshot import Witness
from autoperf.patching.patch import Switch, expect_parameters
from autoperf.patching.reliance import Reliance, without_ours

SEAM: Final = "profiles"
LISTED_BY: Final = (
    "get_agents_dict", "_get_agents_list_from_dir", "_merge_agent_list_items", "SubAgentListItem",
)  # fmt: skip
LISTING: Final = frozenset(
    {
        "7dd3848a8f0da373f5a7a0173a29627fbf970b379dbb2e84215791d3d118ade2",  # v0.9.8
        "67aca8f107cf1f48575cd45a2fcef12302967eca8fbc5b9e3480af33654023c4",  # v0.9.9 - v2.6
    }
)
READ_BY: Final = ("get_subdirectories", "exists", "read_file", "get_abs_path")
READING: Final = frozenset(
    {
        "91ebbcead7f2fb9929f7f9fa399a97b76d77a907de4b323da804b877c49faa5d",  # v0.9.7 - v0.9.8
        "c3ddef0ddfbdcb70217de5d5618edb5c0507c32bd89146c50f5c8a1b61bb9883",  # v0.9.9 - v2.6
    }
)
_FILES: Final = ("agent.yaml", "agent.json")
_MOST_PROFILES: Final = 200

List = Callable[..., dict[str, Any]]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[List, Switch], List]]]:
    """``profiles``: ``get_agents_dict(project_name)``."""
    if "profiles" in targets:
        yield targets["profiles"], unless_cached(probe.root, listing(probe))


def listing(
    probe: Probe, listing: frozenset[str] = LISTING, reading: frozenset[str] = READING
) -> Callable[[List, Switch], List]:
    """Replaces ``get_agents_dict`` where no project is asked for: profiles of one's own each time.

    The host passes over a profile that cannot be read, for the moment or at all: so what is kept was read
    twice alike, and each of the files could be opened.
    """
    lookups = probe.memo(SEAM)

    def build(original: Any, switch: Switch) -> List:
        expect_parameters(original, "project_name")
        host = _Host(probe, without_ours(original), listing, reading, switch)
        kept: Kept[dict[str, Any]] = Kept(probe.vigil)
        once: Kept[dict[str, Any]] = Kept(probe.vigil)

        def clear() -> int:
            once.clear()
            return kept.clear()

        probe.clears(SEAM, clear)
        probe.after_fork += [kept.forked, once.forked]

        def get_agents_dict(call: Any, project_name: Any = None) -> dict[str, Any]:
            key = host.key() if project_name is None else None
            if key is None:
                return call(project_name)  # type: ignore[no-any-return]
            witness = None
            with guarded(SEAM):
                if (found := kept.find(key)) is not None:
                    own = {name: _own(item) for name, item in found.items()}
                    lookups.count(hit=True)
                    return own
                witness = host.look(key)
            lookups.count(hit=False)
            read: dict[str, Any] = call(project_name)
            if witness is not None:
                with guarded(SEAM):
                    if host.plain(read):
                        mine = {name: _own(item) for name, item in read.items()}
                        alike = once.find(key) == mine
                        (kept if alike else once).keep(key, mine, witness)
            return read

        return get_agents_dict

    return build


def _own(item: Any) -> Any:
    own = item.__copy__()
    own.__dict__["origin"] = list(own.__dict__["origin"])
    return own


Key = tuple[Any, ...]


class _Host:
    """The host's module: what its list of profiles depends on."""

    def __init__(
        self, probe: Probe, host: Any, listing: frozenset[str], reading: frozenset[str], switch: Switch
    ) -> None:
        self._space: dict[str, Any] = host.__globals__
        space = self._space
        self._module = space["files"]
        self._files = vars(self._module)
        self._listing = Reliance(space, LISTED_BY, listing, switch)
        self._reading = Reliance(self._files, READ_BY, reading, switch)
        self._folders = Folders(probe.vigil)
        self._plugins = ""
        if "get_enabled_plugin_paths" in host.__code__.co_names:
            self._plugins = space["files"].__name__.rpartition(".")[0] + ".plugins"

    def key(self) -> Key | None:
        """The folders of profiles, and what reads them; None where only the host can tell."""
        known = self._listing.holds() and self._reading.holds() and self._space.get("files") is self._module
        return asked(self._sources) if known else None

    def _sources(self) -> Key:
        space, absolute = self._space, self._files["get_abs_path"]
        extra = ()
        if self._plugins:
            extra = sys.modules[self._plugins].get_enabled_plugin_paths(None, "agents")
        folders = (space["DEFAULT_AGENTS_DIR"], *extra, space["USER_AGENTS_DIR"])
        yaml = space.get("yaml_helper")
        return (*map(absolute, folders), None if yaml is None else yaml.loads)

    def look(self, key: Key) -> Witness | None:
        """A look at every folder and file that is read; None where a change could not be seen by it."""
        witness = Witness()
        try:
            for folder in key[:-1]:
                if not os.path.isabs(folder) or not self._folders.note(witness, folder):
                    return None
                if witness.looks[folder] is not None and not self._look_into(witness, folder):
                    return None
        except (OSError, ValueError):
            return None
        return witness

    def _look_into(self, witness: Witness, folder: str) -> bool:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() or len(witness.looks) > 3 * _MOST_PROFILES:
                    return False
                if not entry.is_dir(follow_symlinks=False):
                    continue
                if not self._folders.note(witness, entry.path):
                    return False
                for name in _FILES:
                    path = os.path.join(entry.path, name)
                    if os.path.islink(path):
                        return False
                    if witness.note(path) is not None:
                        with open(path, "rb"):
                            pass
        return True

    def plain(self, read: Any) -> bool:
        """Whether these are profiles as they come, with nothing in them that a copy would share."""
        item = self._space["SubAgentListItem"]
        return type(read) is dict and all(
            type(profile) is item
            and all(type(v) in (str, bool) for name, v in profile.__dict__.items() if name != "origin")
            and type(profile.__dict__.get("origin")) is list
            for profile in read.values()
        )
