"""What is asked for with every reading of the settings, and asked again only when a file has changed.

The model presets (v2.5 on), and whether a Codex account is connected (v2.4 on).
"""

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
ACCOUNTS_SEAM: Final = "accounts"
# The modules by source, and the tags of the original that carry them.
KNOWN: Final = {"0210d871c7b39ff10cd544630afe1a6389a57281f22dc1f714db23874d3d0942"}  # v2.5 - v2.6
KNOWN_ACCOUNTS: Final = {"f9ce1e5c2abeed567d0903d450712b531b68de1f061d88fca6a2698852ba2ebd"}  # v2.4 - v2.6
# What tells codex.py where the files of other programs are, beside HOME.
_HOMES: Final = ("CODEX_HOME", "CHATGPT_LOCAL_HOME")

_UNREADABLE: Final = "a file of presets that cannot be read"
_OTHERS: Final = "presets that cannot be copied"
_CONNECTED: Final = "an account is connected, or its state cannot be told"

Get = Callable[..., Any]
Paths = tuple[str, ...]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Get, Switch], Get]]]:
    """``presets``: ``get_presets(project_name)``; ``account``: ``status()``."""
    if "presets" in targets:
        yield targets["presets"], unless_cached(probe.root, presets(probe.new_memo(SEAM, twice=True)))
    if "account" in targets and os.name == "posix":
        yield targets["account"], unless_cached(probe.root, account(probe.new_memo(ACCOUNTS_SEAM)))


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


def account(memo: Memo[dict[str, Any]]) -> Callable[[Get, Switch], Get]:
    """Memoises ``status`` where no account is connected: no file of one, and no link on the way to one."""

    def build(original: Any, switch: Switch) -> Get:
        expect_parameters(original)
        reliance = Reliance.on_module(original, KNOWN_ACCOUNTS, switch)
        names = reliance.space

        def paths() -> Paths | None:
            lock = names["_AUTH_THREAD_LOCK"]
            if not lock.acquire(blocking=False):
                return None  # another thread reads or writes the account
            lock.release()
            own = names["files"].get_abs_path("usr", "plugins", "_oauth", "codex")
            home, file = os.environ["HOME"], names["AUTH_FILENAME"]
            others = [f"{home}/.codex", f"{home}/.chatgpt-local", *filter(None, map(os.environ.get, _HOMES))]
            found = [names["codex_config"]()["auth_file_path"] or os.path.join(own, file)]
            found += [os.path.join(folder, file) for folder in others]
            return (own, *found) if all(os.path.realpath(path) == path for path in found) else None

        def key() -> Paths | None:
            return asked(paths) if reliance.holds() else None

        def inputs(noted: Inputs, paths: Paths) -> None:
            for path in paths[1:]:
                noted.file(path)
            noted.file(str(names["_auth_lock_path"](names["Path"](paths[1]))))  # the host makes it anew

        return memo.wrapper(ACCOUNTS_SEAM, key=key, inputs=inputs, freeze=_unconnected)

    return build


def _unconnected(status: Any, _paths: Any) -> dict[str, Any]:
    plain = type(status) is dict and all(type(v) in (str, bool) or v == [] for v in status.values())
    if not plain or status.get("connected") is not False or status.get("discovered_auth_files") != []:
        raise UnkeptError(_CONNECTED)
    return {**status, "discovered_auth_files": []}
