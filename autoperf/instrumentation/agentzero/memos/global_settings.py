"""The settings (v0.9.9 on): put together again only when something that they are made from is another."""

from __future__ import annotations

import json
import marshal
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from autoperf.errors import AutoperfError, asked
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.memo.inputs import Environment, Inputs, UnkeptError
from autoperf.memo.memo import UNSETTLED, Memo
from autoperf.patching.patch import Switch
from autoperf.patching.reliance import Reliance, without_ours
from autoperf.patching.sources import digest, expect_parameters

SEAM: Final = "settings"
_ENTRIES: Final = 8
MADE_BY: Final = (
    "get_settings", "normalize_settings", "get_default_settings", "get_default_value",
    "_load_sensitive_settings", "_adjust_to_version", "create_auth_token", "_get_version",
    "_is_valid_timezone", "_normalize_timezone_setting", "_normalize_time_format",
    "_normalize_ui_control_visibility",
)  # fmt: skip
KNOWN: Final = frozenset(
    {
        "2e7924d36cc787d4755d4c61d225b59a2420971247111cebe14104f4e447f5dd",  # v0.9.9 - v1.15
        "892148087d6fd57e6d9346196c08146faae55275148f8b0153c8649959f70b9e",  # v1.17 - v1.19
        "4781ede2d6ed836b2e6aab4d073d6f6c4a3061723b7e4f21ae62f7de8e8c5111",  # v1.20 - v2.3
        "e7d58d01e9a5a62c763bb0551d6e8bb8b8bf571650dce3edf69a65ed9231c907",  # v2.4 - v2.6
    }
)
Others = Mapping[str, tuple[tuple[str, ...], frozenset[str]]]
# What these functions ask in other modules of the host, but for what the key asks each time.
ASKED: Final[Others] = {
    "models": (
        ("get_api_key",),
        frozenset(
            {
                "5683b7df8dfc8b5034385479bcc54033cee553aa3de89f30f39b730865a7698f",  # v0.9.9
                "d04827fa5400b26571be8317de4342d1302c2bc35b9fb6559cd837cd9c416fec",  # v1.0 - v2.6
            }
        ),
    ),
    # v0.9.9 - v2.6
    "runtime": (
        ("get_persistent_id",),
        frozenset({"b5ad601f70cbc1e10ee0b58835bcc86c89d697ee4d9e7525e6fcad7691994142"}),
    ),
    "dotenv": (
        ("get_dotenv_value",),
        frozenset({"a719a9797740b01313443afcc89b9be77e93b1dc623a2b4fd30e793e4f1b8628"}),
    ),
    "files": (
        ("read_file",),
        frozenset({"5c3e2ef6846df66c7cf51e8b7e4f908b235df14d3587310c8b3f78f27519aa04"}),
    ),
    "extension": (
        ("call_extensions_sync",),
        frozenset({"7f31ab0d3f20f274952dde581fc51b7ed64e06bb95bde35fa11dde01c6e9ed7b"}),
    ),
}
# ``execute`` of the one extension at `_AFTER_KEY` that is known: it leaves all keys but those of accounts.
ACCOUNTS: Final = frozenset(
    {
        "307aaa523d4bec5966ca4d4eaa6c85b7c8c0a169aae2e8bd809042b53d97b3b0",  # v1.19
        "0ca2a1a19eb18f0d8e8dee7391bc57d89b5f02b17dcb1adb476ed146f74cad85",  # v1.20 - v2.6
    }
)
_BEFORE_KEY: Final = os.path.join("_functions", "models", "get_api_key", "start")
_AFTER_KEY: Final = os.path.join("_functions", "models", "get_api_key", "end")
_SECRETS: Final = os.path.join("_functions", "helpers", "secrets", "get_default_secrets_manager")
_EMPTY: Final = (_BEFORE_KEY, os.path.join(_SECRETS, "start"), os.path.join(_SECRETS, "end"))
_OTHERS: Final = "settings that cannot be copied"
_WARNED: Final = "a variable that the host warns of each time"

Get = Callable[[], dict[str, Any]]
Classes = Callable[[str, Any], "list[type] | None"]


class Key(NamedTuple):
    """All that the settings are made from but the file ``ignored``; ``kept`` is the host's own copy."""

    kept: bytes
    environment: Hashable
    providers: tuple[str, ...]
    account_keys: tuple[str, ...]
    secrets: str
    version: str
    ignored: str
    workdir: str


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Callable[[Get, Switch], Get]]]:
    """``get_settings``: ``get_settings()``."""
    if "get_settings" in targets:
        memo = probe.new_memo(SEAM, _ENTRIES)
        yield targets["get_settings"], unless_cached(probe.root, memoised(memo, probe.extension_classes.of))


def memoised(
    memo: Memo[bytes],
    classes: Classes,
    known: frozenset[str] = KNOWN,
    others: Others = ASKED,
    accounts: frozenset[str] = ACCOUNTS,
) -> Callable[[Get, Switch], Get]:
    """Memoises ``get_settings``, which asks the environment some 200 times, and an extension for each key.

    ``classes(point, agent)`` are the extensions at a point, None where only the host can tell. The secrets,
    the accounts' keys, the providers and the version are asked for each time, as the host does.
    """

    def build(original: Any, switch: Switch) -> Get:
        expect_parameters(original)
        reliance = Reliance(without_ours(original).__globals__, MADE_BY, known, switch)
        host = _Host(reliance, classes, others, accounts, switch)
        return memo.wrapper(
            SEAM,
            key=host.key,
            inputs=_inputs,
            freeze=host.freeze,
            thaw=lambda frozen, _: marshal.loads(frozen),
        )

    return build


def _inputs(noted: Inputs, key: Key) -> None:
    noted.file(key.ignored)


class _Host:
    """The host's module ``settings``."""

    def __init__(
        self,
        reliance: Reliance,
        classes: Classes,
        others: Others,
        accounts: frozenset[str],
        switch: Switch,
    ) -> None:
        self._space = reliance.space
        self._others = others
        self._known_accounts = accounts
        self._classes = classes
        self._switch = switch
        self._relied = [reliance]
        self._complete: bool | None = None
        self._environment = Environment(_single_keys)
        self._getenv = os.getenv
        self._accounts: tuple[Any, bool] = (None, False)

    def key(self) -> Key | None:
        """What the settings are made from now; None where only the host can tell."""
        kept = self._space.get("_settings")
        if type(kept) is not dict or not kept or not self._known():
            return None
        environment = self._environment.now()
        if environment is None or os.getenv is not self._getenv:
            return None
        return asked(lambda: self._key(kept, environment))

    def freeze(self, settings: Any, key: Key) -> bytes:
        """The settings in bytes, if nothing has changed since ``key`` was asked for."""
        if self.key() != key:
            raise UnkeptError(UNSETTLED)
        if any(_warned_of(name, value) for name, value in settings.items()):
            raise UnkeptError(_WARNED)
        try:
            return marshal.dumps(settings)
        except ValueError:
            raise UnkeptError(_OTHERS) from None

    def _key(self, kept: dict[str, Any], environment: Hashable) -> Key | None:
        space = self._space
        account_ids = self._account_ids()
        if account_ids is None:
            return None
        options = space["get_providers"]("chat") + space["get_providers"]("embedding")
        providers = tuple(option["value"] for option in options)
        own = kept.get("api_keys", {})
        accounts = [name for name in providers if name.lower() in account_ids and not own.get(name)]
        try:
            secrets = space["get_default_secrets_manager"]().read_secrets_raw()
        except Exception:
            secrets = ""  # as the host does
        files = space["files"]
        return Key(
            # Of this version: later ones write what they have seen before in another way.
            kept=marshal.dumps(kept, 2),
            environment=environment,
            providers=providers,
            account_keys=tuple(map(space["models"].get_api_key, accounts)),
            secrets=secrets,
            version=space["git"].get_version(),
            ignored=files.get_abs_path("conf/workdir.gitignore"),
            workdir=files.get_abs_path_dockerized("usr/workdir"),
        )

    def _known(self) -> bool:
        if self._complete is None:
            # Now that all of these modules have been executed.
            self._complete = False
            package = self._space["__name__"].rpartition(".")[0]
            try:
                modules = {"extension": sys.modules[f"{package}.extension"]}
                for name, (functions, known) in self._others.items():
                    module = modules.get(name) or self._space[name]
                    self._relied.append(Reliance(vars(module), functions, known, self._switch))
                self._complete = True
            except (AutoperfError, KeyError) as error:
                self._switch.stand_aside(str(error), "unrecognised")
        return self._complete and all(one.holds() for one in self._relied)

    def _account_ids(self) -> set[str] | None:
        """The providers whose keys depend on an account; None where other extensions have a say."""
        of = self._classes
        if any(of(point, None) != [] for point in _EMPTY):
            return None
        classes = of(_AFTER_KEY, None)
        if not classes:
            return None if classes is None else set()
        own: Any = vars(classes[0])
        execute = own.get("execute")
        known, fits = self._accounts
        if execute is not known:  # also where somebody has put another into the same class
            fits = digest(execute) in self._known_accounts
            self._accounts = execute, fits
        if not fits or "__init__" in own or len(classes) > 1:
            return None
        found: set[str] = execute.__globals__["oauth_provider_ids"]()
        return found


def _single_keys(environment: Mapping[Any, Any]) -> bool:
    """Whether no provider has several keys: the host gives them out in turn."""
    values = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
    return not any("," in value for name, value in values.items() if "API_KEY" in name or "API_TOKEN" in name)


def _warned_of(name: str, value: Any) -> bool:
    """Whether the host prints that it cannot use the variable for a setting (its `get_default_value`)."""
    text = os.environ.get(f"A0_SET_{name}", os.environ.get(f"A0_SET_{name.upper()}"))
    if text is None or type(value) in (bool, str):
        return False
    try:
        json.loads(text.strip()) if type(value) is dict else type(value)(text.strip())
    except (ValueError, TypeError):
        return True
    return False
