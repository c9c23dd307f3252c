"""Extension calls: counted, timed, spans where something ran, and free where there is nothing to run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.errors.around import SKIP, Around, Begun
from autoperf.errors.fence import MISS, Shortcut
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.instrumentation.agentzero.dispatch.extension_spans import EDGES, Looking, Points
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.patching.patch import Switch
from autoperf.patching.sources import asks_only, expect_parameters

Call = Callable[..., Any]
# Folders and points by name: of more than these each call works out the little that is kept of one.
_KNOWN: Final = 1000


def of_agent(probe: Probe) -> Callable[[Call, Switch], Around]:
    """For ``Agent.call_extensions(folder, **kwargs)`` (v0.8 to v0.9.2), which loads at every call."""

    def build(original: Call, _switch: Switch) -> Around:
        expect_parameters(original, "self", "folder")
        points = Points(probe)
        return Around(lambda _agent, /, folder, **_kwargs: points.begin(folder))

    return build


def of_module(probe: Probe, *, fast: bool = False) -> Callable[[Call, Switch], Around]:
    """For ``call_extensions(extension_point, agent=None, **kwargs)`` (v0.9.3 to v0.9.8).

    With ``fast``, a point whose folders are known to be absent or empty returns at once (v0.9.8).
    """

    def build(original: Call, switch: Switch) -> Around:
        expect_parameters(original, "extension_point", "agent")
        points = Points(probe)
        is_empty = _emptiness(probe, original, switch) if fast else None
        empty = 0
        if is_empty is not None:
            probe.extension_lookups.count_hits_with(lambda: empty)

        def begin(extension_point: str, agent: Any = None, **_kwargs: Any) -> Begun:
            nonlocal empty
            traced = probe.tracing is not None
            if (
                is_empty is not None
                and not (traced and extension_point in EDGES)
                and is_empty(extension_point, agent)
            ):
                empty += 1
                return SKIP
            return points.begin(extension_point) if traced else Looking(probe)

        return Around(begin)

    return build


# All that v0.9.8 asks for on the way to a point's classes.
LOOKED_UP: Final = frozenset(
    {"python.helpers", "projects", "subagents", "get_paths", "_get_extensions", "_get_file_from_module"}
    | {"__module__", "sorted", "values", "execute", "setdefault", "items", "append", "extend"}
)
_UNDER: Final = {"default_root": "python"}
_MORE: Final = "it asks for more than is known: the host looks points up that have no extension"
_ALONE: Final = "it relies on the feature paths, which is off: the host looks up points without an extension"


def _emptiness(probe: Probe, original: Call, switch: Switch) -> Callable[[Any, Any], bool] | None:
    """Whether a point has nothing to run: none of its folders exists, or the host found nothing in them."""
    host, code = original.__globals__, original.__code__
    parts = [code, *(part for part in code.co_consts if isinstance(part, CodeType))]
    constants = {c for part in parts for c in part.co_consts if isinstance(c, str)}
    names = {name for part in parts for name in part.co_names}
    if "get_paths" not in names:
        return None  # before v0.9.8
    if not (LOOKED_UP.issuperset(names) and {"extensions", "python"} <= constants):
        switch.stand_aside(_MORE)
        return None
    finds: Any = None

    def is_empty(point: Any, agent: Any) -> bool:
        nonlocal finds
        answers = probe.path_answers
        if answers is None:
            switch.stand_aside(_ALONE, "off")
            return False
        if host.get("_get_extensions") is not finds:
            if finds is not None:
                switch.stand_aside("_get_extensions, which it relies on, was replaced")
                return False
            finds = host.get("_get_extensions")
        if switch.aside is not None:
            switch.act_again()
        paths = answers.known(agent, ("extensions", point), _UNDER)
        if not paths:
            return paths is not None
        found = host["_cache"]
        return all(found.get(path) == [] for path in paths)

    return is_empty


def instances(probe: Probe) -> Callable[[Call, Switch], Around]:
    """For ``Extension.__init__(agent, ...)``: every generation makes an extension right before it runs it."""

    def build(_original: Call, _switch: Switch) -> Around:
        current, streaming = probe.point.reference, probe.stream.reference

        def begins(extension: Any, /, *_args: Any, **_kwargs: Any) -> None:
            stream = streaming()()
            call = None if stream is None else stream.current
            held = current()
            # Another call may go on beside it, or within: of a task that an extension has left behind.
            if call is None or call.outer is not held or not call.begins(type(extension)):
                point = held()
                if point is not None:
                    point.begins(type(extension))

        return Around(begins)

    return build


def folder_classes(probe: Probe) -> Callable[[Call, Switch], Shortcut]:
    """For ``_get_extensions(folder)`` (v0.9.3 to v0.9.8): notes what is found, answers for absent folders."""

    def build(original: Call, _switch: Switch) -> Shortcut:
        expect_parameters(original, "folder")
        host = original.__globals__
        absolute: dict[str, str] = {}

        def absent(folder: str) -> bool:
            # The host looks a missing folder up at every call; so do we, without building its path again.
            path = absolute.get(folder)
            if path is None:
                path = host["files"].get_abs_path(folder)
                if len(absolute) < _KNOWN:
                    absolute[folder] = path
            return path not in host["_cache"] and not os.path.exists(path)

        def note(classes: list[type]) -> list[type]:
            point = probe.point.get()
            if point is not None:
                point.found(classes)
            return classes

        def nothing(folder: str) -> Any:
            return [] if absent(folder) else MISS

        async def get_extensions_async(call: Any, folder: str) -> list[type]:
            return note(await call(folder))

        def get_extensions(call: Any, folder: str) -> list[type]:
            return note(call(folder))

        is_async = inspect.iscoroutinefunction(original)
        return Shortcut(nothing, get_extensions_async if is_async else get_extensions)

    return build


def noting(probe: Probe, code: CodeCache, load: Call) -> Call:
    """``load_classes_from_folder`` that tells the extension call it serves what it found and had to read."""
    probe.extension_lookups.measured = True

    def load_classes_from_folder(call: Any, /, *args: Any, **kwargs: Any) -> list[type]:
        before = code.reads()
        classes: list[type] = load(call, *args, **kwargs)
        point = probe.point.get()
        if point is not None:
            point.found(classes, code.reads() - before)
        return classes

    return load_classes_from_folder


# All that the host's extension calls ask for, v0.9.9 - v2.6.
ASKED: Final = frozenset(
    {"_log_extension_call", "_get_extension_classes", "execute", "isinstance", "Awaitable"}
    | {"ValueError", "__name__"}
)


class Cached:
    """For ``call_extensions_async`` and ``_sync`` (v0.9.9 on), which look classes up in the host's cache.

    With ``fast``, a point that the host's cache knows to be empty returns at once.
    """

    def __init__(self, probe: Probe, classes: ExtensionClasses, *, fast: bool) -> None:
        self._probe = probe
        self._classes = classes
        self._fast = fast
        self._points = Points(probe)

    def asynchronous(self, original: Call, switch: Switch) -> Around:
        """Wrapper for the coroutine function."""
        return self._around(original, switch, edges=EDGES)

    def synchronous(self, original: Call, switch: Switch) -> Around:
        """Wrapper for the plain function."""
        return self._around(original, switch, edges=frozenset())

    def _around(self, original: Call, switch: Switch, edges: frozenset[str]) -> Around:
        expect_parameters(original, "extension_point", "agent")
        self._bind(original)
        fast = self._fast and asks_only(original, ASKED)
        if self._fast and not fast:
            switch.stand_aside(_MORE)
        probe, known = self._probe, self._classes.reader()
        points, bound = self._points, self._classes.bound
        empty = full = 0
        # Points that had something to run once: without statistics, a look first only makes them slower.
        busy: set[str] = set()
        probe.extension_lookups.count_hits_with(lambda: empty + full)

        def begin(extension_point: str, agent: Any = None, **_kwargs: Any) -> Begun | None:
            nonlocal empty, full
            traced = probe.tracing is not None
            if extension_point in busy and not traced:
                full += 1
                return None
            classes = known(extension_point, agent)
            if classes is not None and not classes and not (traced and extension_point in edges):
                empty += 1
                return SKIP if fast else None  # nothing runs, so there is nothing to be timed either
            if classes is not None and not traced:
                full += 1
                if classes and len(busy) < _KNOWN:
                    busy.add(extension_point)
                return None
            return points.begin(extension_point, classes, unsure=not bound())

        if fast:
            self._classes.together.joins("", switch)
        return Around(begin)

    def _bind(self, original: Call) -> None:
        with guarded("extension calls"):
            self._classes.bind(original.__globals__)
