"""Extension calls: counted, timed, spans where something ran, and free where there is nothing to run."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from autoperf.agentzero.codecache import CodeCache
from autoperf.agentzero.hostcache import ExtensionClasses
from autoperf.agentzero.probe import Execution, Lookup, Probe, is_intervention, restore
from autoperf.errors import guarded
from autoperf.patching import Switch, expect_parameters
from autoperf.telemetry import names

Call = Callable[..., Any]
# Called for every streamed chunk, or implicitly around single functions: counted, a span only when slow.
_FREQUENT: Final = ("stream", "_functions", "tool_output_update")
_SLOW_NS: Final = 10_000_000
_POINTS_KEPT: Final = 1000


class _Point:
    """What is the same at every call of one extension point."""

    __slots__ = ("attributes", "execution", "frequent", "label")

    def __init__(self, name: str, execution: Execution) -> None:
        self.execution = execution
        self.frequent = any(mark in name for mark in _FREQUENT)
        self.label = f"{names.EXTENSIONS} {name}"
        self.attributes = {names.EXTENSION_POINT: name}


class _Points:
    """The points of one process by name; beyond 1,000 they are no longer kept."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._known: dict[str, _Point] = {}

    def of(self, name: Any) -> _Point:
        found = self._known.get(name)
        if found is None:
            found = _Point(str(name), self._probe.points.of(name))
            if len(self._known) < _POINTS_KEPT:
                self._known[name] = found
        return found


class _Timed:
    """One extension call that may run something: its lookup, its statistics, and a span for it.

    ``classes`` are the point's classes where they are known beforehand. Where they are not, what the loaders
    find on behalf of this call arrives through a context variable.
    """

    __slots__ = ("_classes", "_lookup", "_open", "_point", "_probe", "_started", "_token", "_unsure")

    def __init__(
        self, probe: Probe, point: _Point, classes: list[type] | None = None, *, unsure: bool = False
    ) -> None:
        self._probe = probe
        self._point = point
        self._classes = classes
        self._unsure = unsure
        self._lookup: Lookup | None = None
        self._open: AbstractContextManager[Any] | None = None

    def __enter__(self) -> None:
        if self._classes is None:
            self._lookup = Lookup()
            self._token = self._probe.lookup.set(self._lookup)
        point = self._point
        # A point that ran something the last time gets an open span, so that what it calls lies below it.
        if not point.frequent and (self._classes or point.execution.series.count):
            with guarded("extension calls"):
                self._open = self._probe.span(point.label, point.attributes)
                self._open.__enter__()
        self._started = time.perf_counter()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        seconds = time.perf_counter() - self._started
        if self._lookup is not None:
            restore(self._probe.lookup, self._token)
        with guarded("extension calls"):
            if self._open is not None:
                self._open.__exit__(kind, error, trace)
            lookup, execution = self._lookup, self._point.execution
            self._probe.extension_lookups.count(hit=lookup is None or not lookup.reads)
            failed = isinstance(error, Exception) and not is_intervention(error)
            execution.errors += failed
            # Without an answer from the host's cache, nor a loader at work, something may still have run.
            if failed or lookup is None or lookup.classes or self._unsure:
                execution.series.add(seconds)
                if self._open is None:
                    self._record(int(seconds * 1e9), error if failed else None)

    def _record(self, length_ns: int, error: BaseException | None) -> None:
        if error is None and length_ns < _SLOW_NS and self._point.frequent:
            return
        attributes = self._point.attributes
        if error is not None:
            attributes = {**attributes, names.ERROR_TYPE: type(error).__qualname__}
        now = time.time_ns()
        self._probe.record(self._point.label, now - length_ns, now, attributes)


def of_agent(probe: Probe) -> Callable[[Call, Switch], Call]:
    """For ``Agent.call_extensions(folder, **kwargs)`` (v0.8 to v0.9.2), which loads at every call."""

    def build(original: Call, switch: Switch) -> Call:
        expect_parameters(original, "self", "folder")
        points = _Points(probe)

        async def call_extensions(self: Any, folder: str, **kwargs: Any) -> Any:
            if not switch.on:
                return await original(self, folder, **kwargs)
            with _Timed(probe, points.of(folder)):
                return await original(self, folder, **kwargs)

        return call_extensions

    return build


def of_module(probe: Probe) -> Callable[[Call, Switch], Call]:
    """For ``call_extensions(extension_point, agent=None, **kwargs)`` (v0.9.3 to v0.9.8)."""

    def build(original: Call, switch: Switch) -> Call:
        expect_parameters(original, "extension_point", "agent")
        points = _Points(probe)

        async def call_extensions(extension_point: str, agent: Any = None, **kwargs: Any) -> Any:
            if not switch.on:
                return await original(extension_point, agent, **kwargs)
            with _Timed(probe, points.of(extension_point)):
                return await original(extension_point, agent, **kwargs)

        return call_extensions

    return build


def folder_classes(probe: Probe) -> Callable[[Call, Switch], Call]:
    """For ``_get_extensions(folder)`` (v0.9.3 to v0.9.8): notes what is found, answers for absent folders."""

    def build(original: Call, switch: Switch) -> Call:
        expect_parameters(original, "folder")
        host = original.__globals__
        absolute: dict[str, str] = {}

        def absent(folder: str) -> bool:
            # The host looks a missing folder up at every call; so do we, without building its path again.
            path = absolute.get(folder)
            if path is None:
                path = absolute[folder] = host["files"].get_abs_path(folder)
            return path not in host["_cache"] and not os.path.exists(path)

        def note(classes: list[type]) -> list[type]:
            lookup = probe.lookup.get()
            if lookup is not None:
                lookup.classes += len(classes)
            return classes

        async def get_extensions_async(folder: str) -> list[type]:
            return [] if switch.on and absent(folder) else note(await original(folder))

        def get_extensions(folder: str) -> list[type]:
            return [] if switch.on and absent(folder) else note(original(folder))

        return get_extensions_async if inspect.iscoroutinefunction(original) else get_extensions

    return build


def noting(probe: Probe, code: CodeCache, load: Call) -> Call:
    """``load_classes_from_folder`` that tells the extension call it serves what it found and had to read."""

    def load_classes_from_folder(*args: Any, **kwargs: Any) -> list[type]:
        before = code.reads()
        classes: list[type] = load(*args, **kwargs)
        lookup = probe.lookup.get()
        if lookup is not None:
            lookup.classes += len(classes)
            lookup.reads += code.reads() - before
        return classes

    return load_classes_from_folder


class Cached:
    """For ``call_extensions_async`` and ``_sync`` (v0.9.9 on), which look classes up in the host's cache.

    With ``fast``, a point that the host's cache knows to be empty returns at once.
    """

    def __init__(self, probe: Probe, classes: ExtensionClasses, *, fast: bool) -> None:
        self._probe = probe
        self._classes = classes
        self._fast = fast
        self._points = _Points(probe)

    def asynchronous(self, original: Call, switch: Switch) -> Call:
        """Wrapper for the coroutine function."""
        expect_parameters(original, "extension_point", "agent")
        self._bind(original)
        probe, known, bound, fast = self._probe, self._classes.of, self._classes.bound, self._fast
        points = self._points
        empty = 0
        probe.extension_lookups.count_hits_with(lambda: empty)

        async def call_extensions_async(extension_point: str, agent: Any = None, **kwargs: Any) -> Any:
            nonlocal empty
            if not switch.on:
                return await original(extension_point, agent, **kwargs)
            classes = known(extension_point, agent)
            if classes is not None and not classes:
                empty += 1
                return None if fast else await original(extension_point, agent, **kwargs)
            if classes is not None and probe.tracing is None:
                probe.extension_lookups.hits += 1
                return await original(extension_point, agent, **kwargs)
            with _Timed(probe, points.of(extension_point), classes, unsure=not bound()):
                return await original(extension_point, agent, **kwargs)

        return call_extensions_async

    def synchronous(self, original: Call, switch: Switch) -> Call:
        """Wrapper for the plain function."""
        expect_parameters(original, "extension_point", "agent")
        self._bind(original)
        probe, known, bound, fast = self._probe, self._classes.of, self._classes.bound, self._fast
        points = self._points
        empty = 0
        probe.extension_lookups.count_hits_with(lambda: empty)

        def call_extensions_sync(extension_point: str, agent: Any = None, **kwargs: Any) -> Any:
            nonlocal empty
            if not switch.on:
                return original(extension_point, agent, **kwargs)
            classes = known(extension_point, agent)
            if classes is not None and not classes:
                empty += 1
                return None if fast else original(extension_point, agent, **kwargs)
            if classes is not None and probe.tracing is None:
                probe.extension_lookups.hits += 1
                return original(extension_point, agent, **kwargs)
            with _Timed(probe, points.of(extension_point), classes, unsure=not bound()):
                return original(extension_point, agent, **kwargs)

        return call_extensions_sync

    def _bind(self, original: Call) -> None:
        with guarded("extension calls"):
            self._classes.bind(original.__globals__)
