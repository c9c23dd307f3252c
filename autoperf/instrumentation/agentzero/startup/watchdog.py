"""File watchers: what is watched already stays watched when another folder is added."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.patching.patch import Switch, Together
from autoperf.patching.sources import digest

Build = Callable[[Any, Switch], Any]

# `_WatchRegistry._refresh_observer` of v1.0 to v2.6.
KNOWN: Final = frozenset({"217c4be0412c64462ac803149fb37d711ae808ce2e04f256757c42dade8d09c7"})


def rows(targets: Mapping[str, str], probe: Probe) -> Iterator[tuple[str, Build]]:
    """The host takes every watch down and walks all trees again for each folder that is added."""
    if "refresh" not in targets:
        return
    watching = Watching()
    probe.after_fork.append(watching.forked)
    yield targets["refresh"], watching.refreshing
    for name in ("add", "remove", "clear"):
        yield targets[name], watching.changing


class Wanted:
    """Stands in for an observer while the host says what it wants watched, and takes it down.

    Anything else that is asked of it is done by the observer itself, after what was said so far.
    """

    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self.observer = registry._observer
        self.before = registry._scheduled_roots
        self.roots: dict[str, tuple[Any, dict[str, Any]]] | None = None

    def unschedule_all(self) -> None:
        """Nothing is wanted from here on."""
        self.roots = {}

    def schedule(self, handler: Any, path: str, **options: Any) -> None:
        """``path`` is wanted."""
        self.roots = {**(self.roots or {}), path: (handler, options)}

    def __getattr__(self, name: str) -> Any:
        self.in_full()
        return getattr(self.observer, name)

    def in_full(self) -> None:
        """Do it the way the host does."""
        roots, self.roots = self.roots, None
        if roots is not None:
            self.observer.unschedule_all()
            for path, (handler, options) in roots.items():
                self.observer.schedule(handler, path, **options)


class Watching:
    """Brings each observer from what it watches to what is wanted, outside of the registry's lock.

    The registry holds its lock while it unschedules, which waits for the observer's; the observer holds its
    own while it calls the registry, which waits for that lock.
    """

    def __init__(self) -> None:
        self._watched: WeakKeyDictionary[Any, dict[str, tuple[Any, Any, Any]]] = WeakKeyDictionary()
        self._together = Together("_refresh_observer")
        self.forked()

    def forked(self) -> None:
        """No thread of the parent's ends what it began here."""
        self._lock = threading.RLock()
        self._waiting: deque[Wanted] = deque()
        self._inside = threading.local()

    def refreshing(self, original: Any, switch: Switch) -> Any:
        """For the function that tells the observer all it has to watch; called with the registry's lock."""
        if digest(original) not in KNOWN:
            raise AutoperfError("unknown: it may do more than take all watches down and put them up again")
        self._together.joins("_refresh_observer", switch)

        def _refresh_observer(call: Any, self_: Any) -> Any:
            if self_._observer is None or not getattr(self._inside, "depth", 0):
                return call(self_)
            wanted = Wanted(self_)
            self_._observer = wanted
            try:
                return call(self_)
            finally:
                if self_._observer is wanted:
                    self_._observer = wanted.observer
                    if wanted.roots is not None:
                        self._waiting.append(wanted)

        return _refresh_observer

    def changing(self, _original: Any, switch: Switch) -> Any:
        """For the functions that change what is wanted, and call the other one at most once."""

        self._together.joins("", switch)

        def changed(call: Any, self_: Any, /, *args: Any, **kwargs: Any) -> Any:
            if self._together.state() is None:
                return call(self_, *args, **kwargs)
            self._inside.depth = getattr(self._inside, "depth", 0) + 1
            try:
                result = call(self_, *args, **kwargs)
            finally:
                self._inside.depth -= 1
                try:
                    if self._waiting:
                        self._settle(self_._observer)
                except Exception:
                    # Half done by us, nobody else would do the rest: the host's own way, in full.
                    while self._waiting:
                        self._waiting.popleft().in_full()
                    raise
            return result

        return changed

    def _settle(self, observer: Any) -> None:
        # A callback runs on the observer's thread, with its lock: what it wants is done by whoever is at it.
        may_wait = threading.current_thread() is not observer
        while self._waiting:
            if not self._lock.acquire(blocking=may_wait):
                return
            try:
                while self._waiting:
                    self._apply(self._waiting[0])
                    self._waiting.popleft()
            finally:
                self._lock.release()

    def _apply(self, wanted: Wanted) -> None:
        observer, roots = wanted.observer, wanted.roots or {}
        watched = self._watched.get(observer)
        if wanted.registry._observer is not observer:
            return  # stopped since
        try:
            if watched is None:
                observer.unschedule_all()
                watched = self._watched[observer] = {}
            for path in [path for path, row in watched.items() if not _same(row, roots.get(path))]:
                observer.unschedule(watched.pop(path)[0])
            for path, (handler, options) in roots.items():
                if path not in watched:
                    watched[path] = (observer.schedule(handler, path, **options), handler, options)
        except Exception:
            # No more watches to be had, a folder that is gone: as the host would have met it.
            self._watched.pop(observer, None)
            wanted.registry._scheduled_roots = wanted.before
            wanted.in_full()
            wanted.registry._scheduled_roots = set(roots)


def _same(row: tuple[Any, Any, Any], wanted: tuple[Any, Any] | None) -> bool:
    if wanted is None:
        return False
    _, handler, options = row
    return type(handler) is type(wanted[0]) and vars(handler) == vars(wanted[0]) and options == wanted[1]
