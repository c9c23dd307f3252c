"""An import hook that only watches: it tells when one of the wanted modules has been executed."""

from __future__ import annotations

import importlib.machinery
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.fence import fenced
from autoperf.errors.standins import nothing, standing_in
from autoperf.errors.switch import ALWAYS

_SEAM: Final = "import hooks"


class Finder:
    """Sees the wanted modules pass, lets the other finders find them, and calls back once one is executed."""

    def __init__(self, wanted: set[str], imported: Callable[[ModuleType], None]) -> None:
        self._wanted = wanted
        self._called = imported
        self._searching = threading.local()
        # The protocol of import finders; where ours fails, Python goes on to the next one.
        self.find_spec = standing_in(_SEAM, self._find, nothing)

    def _find(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._wanted or getattr(self._searching, "now", False):
            return None
        self._searching.now = True
        try:
            spec = ask_the_others(self, name, path, target)
        finally:
            self._searching.now = False
        if spec is not None and spec.loader is not None:
            with guarded(_SEAM):
                self._watch(spec.loader)
        return spec

    def _watch(self, loader: Any) -> None:
        def exec_module(call: Any, module: ModuleType) -> None:
            # Only this one loader object is changed, and only until it has done its work.
            vars(loader).pop("exec_module", None)
            call(module)
            self._called(module)

        loader.exec_module = fenced(_SEAM, loader.exec_module, ALWAYS, exec_module)


def ask_the_others(
    asking: Any, name: str, path: Sequence[str] | None, target: ModuleType | None
) -> importlib.machinery.ModuleSpec | None:
    """The first spec that any finder but ``asking`` has; what another finder raises passes."""
    for finder in list(sys.meta_path):
        find = getattr(finder, "find_spec", None)
        if finder is asking or find is None:
            continue
        spec: importlib.machinery.ModuleSpec | None = find(name, path, target)
        if spec is not None:
            return spec
    return None
