"""Values of the environment, looked up without encoding their names again each time."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.conflicts import unless_cached
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

# dotenv.get_dotenv_value by source: it is os.getenv(key, default), v0.8 - v2.6
KNOWN: Final = {"699532d2c25f01f5c5d1b42eba3e65721912d1b4dc1aa5dd567c6a2584a15f0e"}
_NAMES_KEPT: Final = 5_000

Look = Callable[..., Any]
Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """``environment``: ``get_dotenv_value(key, default)``."""
    if "environment" in targets:
        yield targets["environment"], unless_cached(probe.root, looking_up)


def looking_up(original: Any, switch: Switch) -> Shortcut:
    """Replaces ``get_dotenv_value``: the environment's own table is asked, so every change shows at once.

    The host asks for hundreds of names whenever it reads its settings, and `os.environ` takes most of its
    time to turn them into bytes.
    """
    expect_parameters(original, "key", "default")
    host: Any = inspect.unwrap(original)
    if digest(host) not in KNOWN or host.__defaults__ != (None,):
        raise AutoperfError("another way of looking values up than the one that is known")
    environ: Any = os.environ
    getenv = os.getenv
    table = getattr(environ, "_data", None)
    if type(table) is not dict or not callable(getattr(environ, "encodekey", None)):
        raise AutoperfError("an environment of another kind")
    names: dict[str, Any] = {}

    def get_dotenv_value(key: Any, default: Any = None) -> Any:
        # Somebody may have put another environment there, as tests do.
        now: Any = os.environ
        if now is not environ or os.getenv is not getenv or now._data is not table:
            switch.stand_aside("os.environ or os.getenv was replaced")
            return MISS
        if switch.aside is not None:
            switch.act_again()
        name = names.get(key) if type(key) is str else None
        if name is None:
            if type(key) is str and len(names) < _NAMES_KEPT:
                with suppress(UnicodeError):
                    names[key] = environ.encodekey(key)
            return MISS
        value = table.get(name)
        return default if value is None else environ.decodevalue(value)

    return Shortcut(get_dotenv_value)
