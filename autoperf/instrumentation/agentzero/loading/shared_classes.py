"""Classes of hosts that keep tools and extensions in `sys.modules` until restart (v0.8 to v0.9.2)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatch
from types import ModuleType
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.layout import CACHE_OF_BASE
from autoperf.instrumentation.agentzero.loading.classes import ASKED
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import ABSENT, Stamp, stamp_or_none
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_names, expect_parameters

_FOLDERS_KNOWN: Final = 1000


class SharedClasses:
    """What one look into a folder gave, and the modules it came from.

    Such a host sees files come and go, not what is written into them. Its answer is the same as long as the
    folder has not changed, the modules are the ones in `sys.modules`, and their classes are where they were.
    """

    __slots__ = ("_modules", "classes", "warm_seconds")

    def __init__(self, classes: list[type], modules: list[str]) -> None:
        self.renew(classes, modules, None)

    def renew(self, classes: list[type], modules: list[str], warm_seconds: float | None) -> None:
        """Take over what the host has just found, in ``warm_seconds`` when nothing was new to it."""
        found = ((name, sys.modules.get(name)) for name in modules)
        self.classes = list(classes)
        self.warm_seconds = warm_seconds
        self._modules = [(name, module, _classes_of(module)) for name, module in found if module is not None]

    def hold(self) -> bool:
        """Whether the host would find the same classes again."""
        modules = sys.modules
        for name, module, (size, classes) in self._modules:
            names = vars(module)
            if modules.get(name) is not module or len(names) != size:
                return False
            for attribute, cls in classes:
                if names.get(attribute) is not cls:
                    return False
        return True


def _classes_of(module: ModuleType) -> tuple[int, list[tuple[str, type]]]:
    names = vars(module)
    return len(names), [(name, value) for name, value in names.items() if isinstance(value, type)]


class SharedLoading:
    """Stands in front of ``load_classes_from_folder`` of such a host."""

    def __init__(self, caches: dict[str, Cache[Any]], code: CodeCache) -> None:
        self._caches = caches
        self._code = code
        self._absolute: dict[str, str] = {}
        self._resolve: Callable[[str], str] = str

    def from_folder(self, original: Callable[..., list[type]], _switch: Switch) -> Callable[..., list[type]]:
        """The wrapper; what it cannot answer for certain, the host answers."""
        expect_parameters(original, "folder", "name_pattern", "base_class", "one_per_file")
        expect_names(original, ASKED)
        self._resolve = original.__globals__["get_abs_path"]

        def load_classes_from_folder(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            cache = None if kwargs else self._cache_for(args)
            if cache is None:
                return call(*args, **kwargs)
            kept: SharedClasses | None = None
            stamp: Stamp | None = None
            with guarded("load_classes_from_folder"):
                stamp = self._stamp(args[0])
                kept = None if stamp is None else cache.find(args, stamp)
                if kept is not None and kept.warm_seconds is not None and kept.hold():
                    cache.saved(kept.warm_seconds)
                    return list(kept.classes)
            return self._load(cache, args, stamp, kept, call)

        return load_classes_from_folder

    def _cache_for(self, args: tuple[Any, ...]) -> Cache[Any] | None:
        if len(args) not in (3, 4):
            return None
        return self._caches.get(CACHE_OF_BASE.get(getattr(args[2], "__name__", ""), ""))

    def _path(self, folder: str) -> str:
        path = self._absolute.get(folder)
        if path is None:
            path = self._resolve(folder)
            if len(self._absolute) < _FOLDERS_KNOWN:
                self._absolute[folder] = path
        return path

    def _stamp(self, folder: str) -> Stamp | None:
        stamp = stamp_or_none(Stamp.of, self._path(folder))
        return None if stamp is ABSENT else stamp

    def _load(
        self,
        cache: Cache[Any],
        args: tuple[Any, ...],
        stamp: Stamp | None,
        kept: SharedClasses | None,
        call: Callable[..., list[type]],
    ) -> list[type]:
        started = time.perf_counter()
        classes = call(*args)
        seconds = time.perf_counter() - started
        with guarded("load_classes_from_folder"):
            modules = self._modules(args[0], args[1]) if stamp is not None else None
            if kept is None:
                self._code.count_read()
            if modules is None or stamp is None:
                return classes
            if kept is not None:
                # The first load was cold: what a hit saves is what this second one took.
                kept.renew(classes, modules, seconds)
            else:
                cache.keep(args, SharedClasses(classes, modules), stamp, seconds)
        return classes

    def _modules(self, folder: str, pattern: str) -> list[str] | None:
        package = folder.replace("/", ".")
        try:
            names = os.listdir(self._path(folder))
        except OSError:
            return None  # the folder has gone since the host read it
        return [f"{package}.{n[:-3]}" for n in names if n.endswith(".py") and fnmatch(n, pattern)]
