"""Extension points: named ones, and an implicit pair around every `@extensible` function."""

from __future__ import annotations

import inspect
import os
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from helpers import cache, files, modules

if TYPE_CHECKING:
    from agent import Agent

F = TypeVar("F", bound=Callable[..., Any])
_EXTENSIONS_CACHE_AREA = "extension_folders(extensions)"
_CLASSES_CACHE_AREA = "extension_classes(extensions)"


class _Unset:
    pass


_UNSET = _Unset()


class Extension:
    """One file in `extensions/python/<point>/`; a new instance serves every call of its point."""

    def __init__(self, agent: Agent | None, **kwargs: Any) -> None:
        self.agent = agent
        self.kwargs = kwargs

    @abstractmethod
    def execute(self, **kwargs: Any) -> Awaitable[None] | None:
        """Do the work; what a point passes in is meant to be changed in place."""


def extensible(func: F) -> F:
    """Call the points `_functions/<module>/<qualname>/start` and `/end` around a function.

    Both get one dict `data` with `args`, `kwargs`, `result` and `exception`. A start extension may replace
    the arguments, or set a result so that the function is not called; an end extension may replace the
    result, set an exception or clear one.
    """
    qualname = [part for part in func.__qualname__.split(".") if part != "<locals>"]
    base = os.path.join("_functions", *func.__module__.split("."), *qualname)
    start, end = os.path.join(base, "start"), os.path.join(base, "end")

    async def _run_async(*args: Any, **kwargs: Any) -> Any:
        agent, data = _agent_among(args, kwargs), _call_data(args, kwargs)
        await call_extensions_async(start, agent=agent, data=data)
        if _outcome(data) is _UNSET:
            try:
                data["result"] = await func(*data["args"], **data["kwargs"])
            except Exception as error:
                data["exception"] = error
        await call_extensions_async(end, agent=agent, data=data)
        return _result(data)

    def _run_sync(*args: Any, **kwargs: Any) -> Any:
        agent, data = _agent_among(args, kwargs), _call_data(args, kwargs)
        call_extensions_sync(start, agent=agent, data=data)
        if _outcome(data) is _UNSET:
            try:
                data["result"] = func(*data["args"], **data["kwargs"])
            except Exception as error:
                data["exception"] = error
        call_extensions_sync(end, agent=agent, data=data)
        return _result(data)

    return cast(F, wraps(func)(_run_async if inspect.iscoroutinefunction(func) else _run_sync))


def _call_data(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"args": args, "kwargs": kwargs, "result": _UNSET, "exception": None}


def _outcome(data: dict[str, Any]) -> Any:
    if isinstance(data["exception"], BaseException):
        raise data["exception"]
    return data["result"]


def _result(data: dict[str, Any]) -> Any:
    # Unset after all: an extension has cleared the exception, and there is nothing to return instead.
    outcome = _outcome(data)
    return None if outcome is _UNSET else outcome


def _agent_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Agent | None:
    from agent import Agent

    for candidate in (kwargs.get("agent"), *args):
        # While Agent.__init__ itself runs the agent is still empty: it has no profile to look files up with.
        if isinstance(candidate, Agent) and vars(candidate):
            return candidate
    return None


async def call_extensions_async(extension_point: str, agent: Agent | None = None, **kwargs: Any) -> None:
    """Run every extension of a point in order, waiting for those that are async."""
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        result = cls(agent=agent).execute(**kwargs)
        if isinstance(result, Awaitable):
            await result


def call_extensions_sync(extension_point: str, agent: Agent | None = None, **kwargs: Any) -> None:
    """Run every extension of a point in order; raise ValueError if one of them is async."""
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        result = cls(agent=agent).execute(**kwargs)
        if isinstance(result, Awaitable):
            raise ValueError(f"{cls.__name__} is async, but '{extension_point}' is called from sync code")


def _get_extension_classes(
    extension_point: str, agent: Agent | None = None, **kwargs: Any
) -> list[type[Extension]]:
    from helpers import subagents

    key = cache.determine_cache_key(agent, extension_point)
    cached: list[type[Extension]] | None = cache.get(_CLASSES_CACHE_AREA, key)
    if cached is not None:
        return cached

    # A file of the same name in a more specific folder replaces the default one.
    by_file: dict[str, type[Extension]] = {}
    for path in subagents.places(agent, "extensions/python", extension_point):
        for cls in _get_extensions(path):
            by_file.setdefault(cls.__module__.split(".")[-1], cls)
    classes = [by_file[name] for name in sorted(by_file)]
    cache.add(_CLASSES_CACHE_AREA, key, classes)
    return classes


def _get_extensions(folder: str) -> list[type[Extension]]:
    folder = files.get_abs_path(folder)
    cached: list[type[Extension]] | None = cache.get(_EXTENSIONS_CACHE_AREA, folder)
    if cached is not None:
        return cached
    if not files.exists(folder):
        return []
    found = modules.load_classes_from_folder(folder, "*", Extension)  # type: ignore[type-abstract]
    cache.add(_EXTENSIONS_CACHE_AREA, folder, found)
    return found
