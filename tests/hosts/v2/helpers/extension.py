"""Extension points, named by the host or implied by @extensible functions."""

import inspect
import os
from abc import abstractmethod
from functools import wraps
from typing import TYPE_CHECKING, Any, Awaitable

from helpers import cache, files, journal, modules

if TYPE_CHECKING:
    from agent import Agent

_EXTENSIONS_CACHE_AREA = "extension_folder_classes(extensions)"
_CLASSES_CACHE_AREA = "extension_classes(extensions)"


class _Unset:
    pass


_UNSET = _Unset()
_EXTENSIONS_LOG_COUNTS: dict[str, int] = {}


def _log_extension_call(name: str) -> None:
    try:
        every = int(os.getenv("EXTENSIONS_LOG", "0"))
    except ValueError:
        return
    if every <= 0:
        return
    for key in (name, "_total"):
        _EXTENSIONS_LOG_COUNTS[key] = _EXTENSIONS_LOG_COUNTS.get(key, 0) + 1
    if _EXTENSIONS_LOG_COUNTS["_total"] % every:
        return
    for point, calls in _EXTENSIONS_LOG_COUNTS.items():
        print(f"{point}: {calls} calls")


def extensible(func):
    """Run the points _functions/<module>/<qualname>/start and /end around a function.

    Both get one mutable ``data``: args, kwargs, result, exception. A start extension that sets a result
    replaces the call; only an ``Exception`` of the function becomes ``data["exception"]``.
    """

    def _get_agent(args, kwargs):
        from agent import Agent

        for candidate in (kwargs.get("agent"), *args):
            if isinstance(candidate, Agent) and candidate.__dict__:
                return candidate
        return None

    def _prepare_inputs(args, kwargs):
        qualname = [part for part in func.__qualname__.split(".") if part != "<locals>"]
        base = os.path.join("_functions", *func.__module__.split("."), *qualname)
        data = {"args": args, "kwargs": kwargs, "result": _UNSET, "exception": None}
        return os.path.join(base, "start"), os.path.join(base, "end"), _get_agent(args, kwargs), data

    def _process_result(data):
        error = data.get("exception")
        if isinstance(error, BaseException):
            raise error
        return data.get("result")

    def _call_original(data):
        args, kwargs = data.get("args"), data.get("kwargs")
        args = args if isinstance(args, tuple) else (args,)
        kwargs = kwargs if isinstance(kwargs, dict) else {}
        try:
            data["result"] = func(*args, **kwargs)
        except Exception as error:
            data["exception"] = error

    async def _run_async(*args, **kwargs):
        before, after, agent, data = _prepare_inputs(args, kwargs)
        await call_extensions_async(before, agent=agent, data=data)
        if _process_result(data) is _UNSET:
            _call_original(data)
            try:
                data["result"] = await data["result"]
            except Exception as error:
                data["exception"] = error
        await call_extensions_async(after, agent=agent, data=data)
        value = _process_result(data)
        return value if value is not _UNSET else None

    def _run_sync(*args, **kwargs):
        before, after, agent, data = _prepare_inputs(args, kwargs)
        call_extensions_sync(before, agent=agent, data=data)
        if _process_result(data) is _UNSET:
            _call_original(data)
        call_extensions_sync(after, agent=agent, data=data)
        value = _process_result(data)
        return value if value is not _UNSET else None

    return wraps(func)(_run_async if inspect.iscoroutinefunction(func) else _run_sync)


class Extension:
    def __init__(self, agent: "Agent|None", **kwargs: Any):
        self.agent: "Agent|None" = agent
        self.kwargs = kwargs
        journal.note("extension", file=type(self).__module__, cls=type(self).__name__)

    @abstractmethod
    def execute(self, **kwargs: Any) -> "None | Awaitable[None]": ...


async def call_extensions_async(extension_point: str, agent: "Agent|None" = None, **kwargs: Any):
    _log_extension_call(extension_point)
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        outcome = cls(agent=agent).execute(**kwargs)
        if isinstance(outcome, Awaitable):
            await outcome


def call_extensions_sync(extension_point: str, agent: "Agent|None" = None, **kwargs: Any):
    _log_extension_call(extension_point)
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        outcome = cls(agent=agent).execute(**kwargs)
        if isinstance(outcome, Awaitable):
            raise ValueError(f"{cls.__name__} is asynchronous, but the call of it is not")


def _get_extension_classes(
    extension_point: str, agent: "Agent|None" = None, **kwargs: Any
) -> list[type[Extension]]:
    from helpers import subagents

    key = cache.determine_cache_key(agent, extension_point)
    if (known := cache.get(_CLASSES_CACHE_AREA, key)) is not None:
        return known
    unique: dict[str, type[Extension]] = {}
    for path in subagents.get_paths(agent, "extensions/python", extension_point):
        for cls in _get_extensions(path):
            unique.setdefault(_get_file_from_module(cls.__module__), cls)
    classes = [unique[name] for name in sorted(unique)]
    cache.add(_CLASSES_CACHE_AREA, key, classes)
    return classes


def _get_file_from_module(module_name: str) -> str:
    return module_name.rpartition(".")[2]


def _get_extensions(folder: str) -> list[type[Extension]]:
    folder = files.get_abs_path(folder)
    if (known := cache.get(_EXTENSIONS_CACHE_AREA, folder)) is not None:
        return known
    if not files.exists(folder):
        return []
    found = modules.load_classes_from_folder(folder, "*", Extension)
    cache.add(_EXTENSIONS_CACHE_AREA, folder, found)
    return found
