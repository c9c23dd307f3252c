"""Tool and extension classes, cached where the host loads them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Final

from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.layout import CACHE_OF_BASE
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.loading.host_call import HostCall
from autoperf.instrumentation.agentzero.loading.judgements import Judgements
from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import ABSENT, Stamp, signature_of, stamp_or_none
from autoperf.patching.patch import Switch
from autoperf.patching.sources import expect_names

Guards = list[Callable[[], bool]] | None
_CALLS_KNOWN: Final = 1000
# All that the host's loaders ask for, v0.8 - v2.6.
ASKED: Final = frozenset(
    {"append", "endswith", "fnmatch", "get_abs_path", "getmembers", "import_module", "importlib", "inspect"}
    | {
        "isclass",
        "issubclass",
        "join",
        "load_classes_from_file",
        "listdir",
        "os",
        "path",
        "replace",
        "reversed",
        "sorted",
    }
)


class Loaded:
    """The classes of one load, and what is known about using them again.

    The first load is cold and tells little; the second executes once more, is measured, and decides:
    ``guards`` then says when the classes may be handed out again, None means execute again every time.
    """

    __slots__ = ("_open", "classes", "decided", "executed", "guards", "warm_seconds")

    def __init__(self, classes: list[type], executed: Iterable[ModuleType] = ()) -> None:
        self.classes = classes
        self.executed = tuple(executed)
        self.decided = False
        self._open = [True]  # taken by the one who decides; a lock might stay held in a child made by fork
        self.guards: Guards = None
        self.warm_seconds = 0.0

    def decide(self, classes: list[type], guards: Guards, seconds: float) -> bool:
        """Settle what later uses get, executed once more in ``seconds``; False if it was settled already."""
        try:
            self._open.pop()
        except IndexError:
            return False
        self.classes, self.warm_seconds, self.guards = classes, seconds, guards
        self.decided, self.executed = True, ()
        return True

    def reusable(self) -> bool:
        """Whether the classes can be told from freshly loaded ones in no way."""
        if self.guards is None:
            return False
        for holds in self.guards:
            if not holds():
                self.guards = None
                return False
        return True


class ClassLoading:
    """Stands in front of the host's class loaders of one process.

    ``caches`` maps a kind (``"tools"``, ``"extensions"``) to its cache; a kind without one goes straight to
    the host. For hosts that keep classes in ``sys.modules`` see `SharedLoading`.
    """

    def __init__(self, caches: dict[str, Cache[Loaded]], code: CodeCache) -> None:
        self.caches = caches
        self.code = code
        self.judgements = Judgements(code)
        self._known: dict[tuple[Any, ...], tuple[Cache[Loaded], tuple[Any, ...]]] = {}
        self._resolved: dict[str, str] = {}

    def from_file(self, original: Callable[..., list[type]], switch: Switch) -> Shortcut:
        """Wrapper for ``load_classes_from_file(file, base_class, one_per_file=True)``."""
        expect_names(original, ASKED)

        ready, absent = self._ready, self._absent
        usual = _executing_as_now(original, switch)

        def known(*args: Any, **kwargs: Any) -> Any:
            found = ready(args) if usual() and not kwargs else None
            return MISS if found is None else found

        def load_classes_from_file(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not usual() or (not kwargs and absent(original, args)):
                return call(*args, **kwargs)
            host = HostCall(call, original, args, kwargs)
            cache = self._cache_of(host, ("file", "base_class", "one_per_file"))
            return host() if cache is None else self._file(cache, host)

        return Shortcut(known, load_classes_from_file)

    def from_folder(self, original: Callable[..., list[type]], switch: Switch) -> Callable[..., Any]:
        """Wrapper for ``load_classes_from_folder(folder, name_pattern, base_class, one_per_file=True)``."""
        expect_names(original, ASKED)

        usual = _executing_as_now(original, switch)

        def load_classes_from_folder(call: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not usual():
                return call(*args, **kwargs)
            host = HostCall(call, original, args, kwargs)
            names = ("folder", "name_pattern", "base_class", "one_per_file")
            cache = self._cache_of(host, names)
            return host() if cache is None else self._folder(cache, host)

        return load_classes_from_folder

    def _ready(self, args: tuple[Any, ...]) -> list[type] | None:
        """The classes of a call that was seen before, the short way; None is for the long one to answer."""
        try:
            known = self._known.get(args)
            if known is None:
                return None
            cache, key = known
            loaded = cache.peek(key)
            if loaded is None or loaded.guards is None:
                return None
            signature = signature_of(key[0])
            # What is not so is for the long way, which counts what it finds.
            if loaded.reusable() and cache.hit(key, loaded, signature, loaded.warm_seconds):
                return list(loaded.classes)
            return None
        # A file that is not there, or a call of another shape, with something that cannot be a key.
        except (OSError, ValueError, TypeError):
            return None

    def _absent(self, original: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Whether there is no such file, so that only the host's own error can come of it."""
        given = args[0] if args else None
        if type(given) is not str:
            return False
        path = self._resolved.get(given)
        if path is None:
            path = _absolute(original, given)
            if len(self._resolved) < _CALLS_KNOWN:
                self._resolved[given] = path
        return not os.path.exists(path)

    def _cache_of(self, host: HostCall, names: tuple[str, ...]) -> Cache[Loaded] | None:
        """The cache for this call; None for a call that is not of the shape we know: the host answers it."""
        if not host.fits(names):
            return None
        path, base_class = host.arguments[0], host.arguments[len(names) - 2]
        if not isinstance(path, str) or not isinstance(base_class, type):
            return None
        kind = CACHE_OF_BASE.get(base_class.__name__)
        return None if kind is None else self.caches.get(kind)

    def _file(self, cache: Cache[Loaded], host: HostCall) -> list[type]:
        path = _absolute(host.original, host.arguments[0])
        key = (path, *host.arguments[1:])
        # The host resolves a relative path against its own folder, which is always the same.
        if host.given is not None and len(self._known) < _CALLS_KNOWN:
            self._known[host.given] = cache, key
        return self._classes(cache, key, host, stamp_or_none(Stamp.of, path))

    def _folder(self, cache: Cache[Loaded], host: HostCall) -> list[type]:
        path = _absolute(host.original, host.arguments[0])
        stamp = stamp_or_none(lambda folder: Stamp.of_contents(folder, ".py"), path)
        return self._classes(cache, (path, *host.arguments[1:]), host, stamp)

    def _classes(
        self, cache: Cache[Loaded], key: tuple[Any, ...], host: HostCall, stamp: Stamp | None
    ) -> list[type]:
        if stamp is None or stamp is ABSENT:
            return host()
        first = False

        def load() -> Loaded:
            nonlocal first
            first = True
            with self.code.watch_executions() as executed:
                classes = host()
            return Loaded(classes, executed)

        loaded = cache.get_or_load(key, load, lambda: stamp)
        if first:
            return list(loaded.classes)
        if loaded.reusable():
            cache.saved(loaded.warm_seconds)
            return list(loaded.classes)
        return self._again(cache, loaded, host)

    def _again(self, cache: Cache[Loaded], loaded: Loaded, host: HostCall) -> list[type]:
        if loaded.decided:
            classes = host()
        else:
            started = time.perf_counter()
            with self.code.watch_executions() as executed:
                classes = host()
            seconds = time.perf_counter() - started
            loaded.decide(list(classes), self.guards(executed), seconds)
        cache.reexecuted()
        return classes

    def guards(self, executed: Iterable[ModuleType]) -> Guards:
        """What must hold for what was just ``executed`` to be used again; None where it must not be."""
        guards = []
        for module in executed:
            judgement = self.judgements.of(module)
            guard = None if judgement is None else judgement.guard(module)
            if guard is None:
                return None
            guards.append(guard.holds)
        return guards or None


def _executing_as_now(original: Callable[..., Any], switch: Switch) -> Callable[[], bool]:
    """Whether a loader still executes files by what it does now; a plugin may put its own there."""
    space = getattr(original, "__globals__", {})
    execute = space.get("import_module")

    def usual() -> bool:
        if space.get("import_module") is execute:
            if switch.aside is not None:
                switch.act_again()
            return True
        switch.stand_aside("import_module, which it relies on, was replaced")
        return False

    return usual


def _absolute(original: Callable[..., Any], path: Any) -> str:
    # The host resolves relative paths against its own root, by the function it imported for that.
    resolve = getattr(original, "__globals__", {}).get("get_abs_path")
    return str(path) if resolve is None or os.path.isabs(path) else str(resolve(path))
