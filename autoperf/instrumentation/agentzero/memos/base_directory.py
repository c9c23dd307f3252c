"""The folder that the host lies in, worked out once (to v0.9.8; later versions keep it themselves)."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from autoperf.errors import AutoperfError
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch
from autoperf.patching.sources import digest, expect_parameters

# files.get_base_dir by source: the folder two above the module's own file, made absolute; v0.8 - v0.9.8
KNOWN: Final = {"2141c426edb58515794e80ac54c1842733e6266421b9c3b1d9b92e7ea0e4545c"}
Build = Callable[[Any, Switch], Any]


def rows(targets: Mapping[str, str], _probe: Probe) -> Iterator[tuple[str, Build]]:
    """``base``: ``get_base_dir()``, with which every path of the host begins."""
    if "base" in targets:
        yield targets["base"], keeping


def keeping(original: Any, _switch: Switch) -> Shortcut:
    """Replaces ``get_base_dir`` where it depends on nothing but the name of its module's file."""
    expect_parameters(original)
    host: Any = inspect.unwrap(original)
    if digest(host) not in KNOWN:
        raise AutoperfError("another way to the host's folder than the one that is known")
    names: dict[str, Any] = host.__globals__
    file = names.get("__file__")
    if type(file) is not str or not os.path.isabs(file):
        raise AutoperfError("the host's folder depends on where the process is")
    folder: str = original()

    def get_base_dir() -> Any:
        return folder if names.get("__file__") is file else MISS

    return Shortcut(get_base_dir)
