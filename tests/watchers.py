"""Watchers in the host's shape: a registry with a lock, and an observer that keeps account of its walks."""

from __future__ import annotations

import threading
import types

NAME = "helpers.watchdog"


class Observer(threading.Thread):
    """Watches by list: what it was told, and every tree it had to walk for it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lock = threading.RLock()
        self.watches: dict[str, list[object]] = {}
        self.walks: list[str] = []
        self.refused: set[str] = set()
        self.ended = False
        self.free: list[bool] = []
        self.registry: object = None
        self.jobs: list[object] = []
        self.go, self.done = threading.Event(), threading.Event()

    def run(self) -> None:
        while self.go.wait() and not self.ended:
            self.go.clear()
            with self.lock:
                self.jobs.pop()()
            self.done.set()

    def schedule(self, handler, path, *, recursive=False):
        with self.lock:
            self.free.append(is_free(self.registry))
            if path in self.refused:
                raise OSError("no more watches")
            self.walks.append(path)
            self.watches.setdefault(path, []).append(handler)
            return ("watch", path, recursive)

    def unschedule(self, watch):
        with self.lock:
            del self.watches[watch[1]]

    def unschedule_all(self):
        with self.lock:
            self.watches.clear()

    def stop(self):
        self.ended = True
        self.go.set()

    def emit(self, path):
        """An event below ``path``, on this thread."""
        with self.lock:
            for root, handlers in list(self.watches.items()):
                for handler in handlers if path.startswith(root) else ():
                    handler.dispatch(path)


def is_free(registry) -> bool:
    """Whether another thread could have the registry's lock now."""
    answer = []

    def ask():
        if registry._lock.acquire(blocking=False):
            registry._lock.release()
            answer.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return bool(answer)


class Handler:
    def __init__(self, registry, root):
        self.registry, self.root = registry, root

    def dispatch(self, path):
        self.registry.dispatch(self.root, path)


def module():
    """A module in the host's shape: roots below others are covered, and every change begins anew."""

    class _WatchRegistry:
        def __init__(self):
            self._lock = threading.RLock()
            self._observer = None
            self._watches = {}
            self._scheduled_roots = set()
            self.made = []

        def add(self, id, roots, handler):
            with self._lock:
                self._watches[id] = (roots, handler)
                self._refresh_observer()

        def remove(self, id):
            with self._lock:
                known = self._watches.pop(id, None) is not None
                if known:
                    self._refresh_observer()
                return known

        def clear(self):
            with self._lock:
                self._watches.clear()
                self._refresh_observer()

        def dispatch(self, root, path):
            with self._lock:
                wanted = [
                    handler for roots, handler in self._watches.values() if path.startswith(tuple(roots))
                ]
            for handler in wanted:
                handler(path)

        def _refresh_observer(self):
            every = sorted({root for roots, _ in self._watches.values() for root in roots})
            roots = {root for root in every if not any(root.startswith(f"{other}/") for other in every)}
            if not roots:
                observer, self._observer, self._scheduled_roots = self._observer, None, set()
                if observer is not None:
                    observer.unschedule_all()
                    observer.stop()
                    observer.join()
                return
            if self._observer is None:
                self._observer = Observer()
                self._observer.registry = self
                self._observer.start()
                self.made.append(self._observer)
            if roots == self._scheduled_roots:
                return
            self._observer.unschedule_all()
            for root in sorted(roots):
                self._observer.schedule(Handler(self, root), root, recursive=True)
            self._scheduled_roots = roots

    found = types.ModuleType(NAME)
    _WatchRegistry.__module__ = NAME
    found._WatchRegistry = _WatchRegistry
    return found
