"""The list of agent profiles (v0.9.8 on), part of every prompt: read again only when a file has changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import asked
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.inputs import LINKED, TOO_MANY, Inputs, UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import Reliance, without_ours
from autoperf.patching.sources import expect_parameters

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
_RELATIVE: Final = "a relative path"
_OTHERS: Final = "profiles of another kind"

List = Callable[..., dict[str, Any]]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[List, Switch], List]]]:
    """``profiles``: ``get_agents_dict(project_name)``."""
    if "profiles" in targets:
        yield targets["profiles"], unless_cached(probe.root, listing(probe))


def listing(
    probe: Probe, listing: frozenset[str] = LISTING, reading: frozenset[str] = READING
) -> Callable[[List, Switch], List]:
    """Memoises ``get_agents_dict`` where no project is asked for: profiles of one's own each time.

    The host passes over a profile that cannot be read, for the moment or at all: so what is kept was read
    twice alike, and each of the files could be opened.
    """
    memo: Memo[dict[str, Any]] = probe.new_memo(SEAM, twice=True)

    def build(original: Any, switch: Switch) -> List:
        expect_parameters(original, "project_name")
        host = _Host(without_ours(original), listing, reading, switch)
        return memo.wrapper(SEAM, key=host.key, inputs=_inputs, freeze=host.freeze, thaw=_copy)

    return build


def _copy(profiles: dict[str, Any], _key: Any) -> dict[str, Any]:
    return {name: _own(item) for name, item in profiles.items()}


def _own(item: Any) -> Any:
    own = item.__copy__()
    own.__dict__["origin"] = list(own.__dict__["origin"])
    return own


Key = tuple[Any, ...]


class _Host:
    """The host's module: what its list of profiles depends on."""

    def __init__(self, host: Any, listing: frozenset[str], reading: frozenset[str], switch: Switch) -> None:
        self._space: dict[str, Any] = host.__globals__
        space = self._space
        self._module = space["files"]
        self._files = vars(self._module)
        self._listing = Reliance(space, LISTED_BY, listing, switch)
        self._reading = Reliance(self._files, READ_BY, reading, switch)
        self._plugins = ""
        if "get_enabled_plugin_paths" in host.__code__.co_names:
            self._plugins = space["files"].__name__.rpartition(".")[0] + ".plugins"

    def key(self, project_name: Any = None) -> Key | None:
        """The folders of profiles, and what reads them; None where only the host can tell."""
        if project_name is not None:
            return None
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

    def freeze(self, read: Any, key: Key) -> dict[str, Any]:
        """A copy of profiles as they come, with nothing in them that it would share."""
        if not self._plain(read):
            raise UnkeptError(_OTHERS)
        return _copy(read, key)

    def _plain(self, read: Any) -> bool:
        item = self._space["SubAgentListItem"]
        return type(read) is dict and all(
            type(profile) is item
            and all(type(v) in (str, bool) for name, v in profile.__dict__.items() if name != "origin")
            and type(profile.__dict__.get("origin")) is list
            for profile in read.values()
        )


def _inputs(noted: Inputs, key: Key) -> None:
    """Every folder and file that is read."""
    for folder in key[:-1]:
        if not os.path.isabs(folder):
            raise UnkeptError(_RELATIVE)
        if noted.names(folder) is not None:
            with os.scandir(folder) as entries:
                for entry in entries:
                    _note_profile(noted, entry)


def _note_profile(noted: Inputs, entry: os.DirEntry[str]) -> None:
    if entry.is_symlink():
        raise UnkeptError(LINKED)
    if len(noted.looks) > 3 * _MOST_PROFILES:
        raise UnkeptError(TOO_MANY)
    if not entry.is_dir(follow_symlinks=False):
        return
    noted.names(entry.path)
    for name in _FILES:
        path = os.path.join(entry.path, name)
        if os.path.islink(path):
            raise UnkeptError(LINKED)
        if noted.file(path) is not None:
            with open(path, "rb"):
                pass
