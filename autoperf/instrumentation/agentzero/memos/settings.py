"""The model presets (v2.5 on): put together again only when one of the files they come from has changed."""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import asked
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.inputs import Inputs, UnkeptError
from autoperf.memo.memo import Memo
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import Reliance
from autoperf.patching.sources import expect_parameters

SEAM: Final = "presets"
# The module by source, and the tags of the original that carry it.
KNOWN: Final = {"0210d871c7b39ff10cd544630afe1a6389a57281f22dc1f714db23874d3d0942"}  # v2.5 - v2.6

_UNREADABLE: Final = "a file of presets that cannot be read"
_OTHERS: Final = "presets that cannot be copied"

Get = Callable[..., Any]
Paths = tuple[str, ...]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Get, Switch], Get]]]:
    """``presets``: ``get_presets(project_name)``."""
    if "presets" in targets:
        yield targets["presets"], unless_cached(probe.root, presets(probe.new_memo(SEAM, twice=True)))


def presets(memo: Memo[bytes]) -> Callable[[Get, Switch], Get]:
    """Memoises ``get_presets`` for the global presets, which are asked for several times a step.

    A file that cannot be read for the moment counts as none with the host: so what is kept was put together
    twice alike, from files that it can read.
    """

    def build(original: Any, switch: Switch) -> Get:
        expect_parameters(original, "project_name")
        reliance = Reliance.on_module(original, KNOWN, switch)
        names = reliance.space

        def paths() -> Paths:
            plugins = names["plugins"]
            return (
                names["_get_presets_path"](),
                plugins.determine_plugin_asset_path("_model_config", "", "", plugins.CONFIG_FILE_NAME),
                names["_get_fallback_presets_path"](),
            )

        def key(project_name: Any = None) -> Paths | None:
            return asked(paths) if not project_name and reliance.holds() else None

        def freeze(presets: Any, paths: Paths) -> bytes:
            if not asked(lambda: _readable(names, paths)):
                raise UnkeptError(_UNREADABLE)
            try:
                return marshal.dumps(presets)
            except ValueError:
                raise UnkeptError(_OTHERS) from None

        return memo.wrapper(
            SEAM, key=key, inputs=_inputs, freeze=freeze, thaw=lambda frozen, _: marshal.loads(frozen)
        )

    return build


def _inputs(noted: Inputs, paths: Paths) -> None:
    for path in paths:
        noted.file(path)


def _readable(names: dict[str, Any], paths: Paths) -> bool:
    """Whether each of the files is absent, or the host reads presets from it."""
    chosen, legacy, bundled = paths
    if os.path.exists(legacy):
        names["files"].read_file_json(legacy)
    return not (os.path.exists(chosen) and names["_load_presets_from_path"](chosen) is None) and not (
        os.path.exists(bundled) and not names["_fallback_presets"]()
    )
