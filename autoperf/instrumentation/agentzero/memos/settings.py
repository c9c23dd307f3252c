"""The model presets (v2.5 on): put together again only when one of the files they come from has changed."""

from __future__ import annotations

import marshal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from autoperf.errors import asked, guarded
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.stamps import ABSENT, Stamp, stamp_or_none
from autoperf.patching.patch import Switch, expect_parameters
from autoperf.patching.reliance import Reliance

SEAM: Final = "presets"
# The module by source, and the tags of the original that carry it.
KNOWN: Final = {"0210d871c7b39ff10cd544630afe1a6389a57281f22dc1f714db23874d3d0942"}  # v2.5 - v2.6

Get = Callable[..., Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Get, Switch], Get]]]:
    """``presets``: ``get_presets(project_name)``."""
    if "presets" in targets:
        yield targets["presets"], unless_cached(probe.root, getting(probe))


def getting(probe: Probe) -> Callable[[Get, Switch], Get]:
    """Replaces ``get_presets`` for the global presets, which are asked for several times a step."""
    counter = probe.memo(SEAM)

    def build(original: Any, switch: Switch) -> Get:
        expect_parameters(original, "project_name")
        host = _Host(original, switch)
        kept: _Kept | None = None
        candidate: _Kept | None = None

        def clear() -> int:
            nonlocal kept, candidate
            count = 0 if kept is None else 1
            kept = candidate = None
            return count

        probe.clears(SEAM, clear)

        def get_presets(call: Any, project_name: Any = None) -> Any:
            nonlocal kept, candidate
            sources = None if project_name else host.sources()
            if sources is None:
                return call(project_name)
            found = kept  # another thread may clear it
            if found is not None and found.sources == sources:
                counter.hits += 1
                return marshal.loads(found.frozen)
            counter.misses += 1
            settled = all(stamp.settled(time.time_ns()) for _, stamp in sources)
            presets = call(project_name)
            if settled:
                # A file that cannot be read for the moment counts as none with the host: so what is kept was
                # put together twice, and from files that are readable.
                known, candidate = candidate, None
                with guarded(SEAM):
                    candidate = _Kept.of(sources, presets)
                if candidate is not None and known is not None and known.same(candidate) and host.readable():
                    kept = candidate
            return presets

        return get_presets

    return build


Sources = tuple[tuple[str, Stamp], ...]


class _Kept(NamedTuple):
    sources: Sources
    frozen: bytes

    @classmethod
    def of(cls, sources: Sources, presets: Any) -> _Kept | None:
        try:
            return cls(sources, marshal.dumps(presets))
        except ValueError:
            return None

    def same(self, other: _Kept) -> bool:
        """Whether both are the same presets of the same files, whatever they were made of on the way."""
        return self.sources == other.sources and marshal.loads(self.frozen) == marshal.loads(other.frozen)


class _Host:
    """The host's module: where its presets come from."""

    def __init__(self, original: Any, switch: Switch) -> None:
        self._reliance = Reliance.on_module(original, KNOWN, switch)
        self._names = self._reliance.space

    def sources(self) -> Sources | None:
        """The three files and how they look; None where only the host can tell."""
        paths = asked(self._paths) if self._reliance.holds() else None
        if paths is None:
            return None
        found = []
        for path in paths:
            stamp = stamp_or_none(Stamp.of, path)
            if stamp is None:
                return None
            found.append((path, stamp))
        return tuple(found)

    def _paths(self) -> tuple[str, ...]:
        names = self._names
        plugins = names["plugins"]
        return (
            names["_get_presets_path"](),
            plugins.determine_plugin_asset_path("_model_config", "", "", plugins.CONFIG_FILE_NAME),
            names["_get_fallback_presets_path"](),
        )

    def readable(self) -> bool:
        """Whether each of the files is absent, or could be read just now."""
        sources = self.sources()
        return sources is not None and bool(asked(lambda: self._reads(sources)))

    def _reads(self, sources: Sources) -> bool:
        names = self._names
        (chosen, there), (legacy, before), (_, bundled) = sources
        if before is not ABSENT:
            names["files"].read_file_json(legacy)
        return not (there is not ABSENT and names["_load_presets_from_path"](chosen) is None) and not (
            bundled is not ABSENT and not names["_fallback_presets"]()
        )
