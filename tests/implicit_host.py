"""A host of a few functions with implicit extension points around them, bare or with the patches on it."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch import extensible, extension_calls
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.tracebacks import without_our_frames
from tests.seam import module_of

LOOKALIKE = Path(__file__).parent / "hosts/v0_9_9/helpers/extension.py"
HEAD = """
import inspect, os
from collections.abc import Awaitable
from functools import wraps
from time import time

_CLASSES_CACHE_AREA = "classes"

class _Unset:
    pass

_UNSET = _Unset()
LOOKED_UP, DISK = [], {}

def _get_extension_classes(point, agent=None, **kwargs):
    LOOKED_UP.append(point)
    key = cache.determine_cache_key(agent, point)
    found = cache.get(_CLASSES_CACHE_AREA, key)
    if found is None:
        found = list(DISK.get((key[1], point), DISK.get(point, [])))
        cache.add(_CLASSES_CACHE_AREA, key, found)
    return found

async def call_extensions_async(extension_point, agent=None, **kwargs):
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        result = cls(agent).execute(**kwargs)
        if isinstance(result, Awaitable):
            await result

def call_extensions_sync(extension_point, agent=None, **kwargs):
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        cls(agent).execute(**kwargs)
"""
CACHE = """
from time import time
_cache, _enabled_global, _enabled_areas = {}, True, {}

class Entry:
    def __init__(self, value):
        self.value, self.timestamp = value, time()

def add(area, key, value):
    _cache.setdefault(area, {})[key] = Entry(value)

def get(area, key):
    entry = _cache.get(area, {}).get(key) if _enabled_global and _enabled_areas.get(area, True) else None
    return None if entry is None else entry.value

def clear(area):
    _cache.pop(area, None)

def determine_cache_key(agent, *more):
    if agent:
        return (agent.config.profile or "none", agent.context.get_data("project") or "none", *more)
    return ("none", "none", *more)
"""
# What the host's modules are like: they take the decorator by name.
USER = """
import asyncio
from agent import Agent
from implicit_extension import extensible, _UNSET

RAN = []

@extensible
def plain(*args, **kwargs):
    RAN.append((args, kwargs))
    return len(args)

@extensible
async def waits(*args, **kwargs):
    await asyncio.sleep(0)
    RAN.append((args, kwargs))
    return len(args)

def deeper(error):
    raise error

@extensible
def fails(error):
    RAN.append("fails")
    try:
        raise LookupError("cause")
    except LookupError as cause:
        raise error from cause

@extensible
async def fails_late(error):
    await asyncio.sleep(0)
    deeper(error)

@extensible
def nothing():
    return _UNSET

@extensible
async def two(a, b):
    RAN.append((a, b))
    return a + b

@extensible
def acts(act):
    act()
    return "acted"

@extensible
async def acts_late(act):
    await asyncio.sleep(0)
    act()
    return "acted"

@extensible
def counts():
    yield 1
    yield 2

@extensible
async def sleeps():
    try:
        await asyncio.sleep(60)
    finally:
        RAN.append("woken")

class Thing:
    @extensible
    def method(self, agent=None):
        return agent

    @staticmethod
    @extensible
    def static(x):
        return x * 2

    @classmethod
    @extensible
    def of_class(cls, x):
        return cls, x

class Child(Agent):
    @extensible
    def __init__(self, project, profile):
        super().__init__(project, profile)

def local():
    @extensible
    def inner(x):
        return x
    return inner
"""


class Host:
    """A small host, bare or with the patches on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, instrumented: bool) -> None:
        tree = ast.parse(LOOKALIKE.read_text())
        decorator = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "extensible")
        source = HEAD + "\n" + (ast.get_source_segment(LOOKALIKE.read_text(), decorator) or "") + "\n"
        self.cache: Any = module_of("implicit_cache", CACHE)
        self.extension: Any = module_of("implicit_extension", source, cache=self.cache)
        monkeypatch.setitem(sys.modules, "implicit_extension", self.extension)
        agent_module: Any = ModuleType("agent")
        agent_module.Agent = Agent
        monkeypatch.setitem(sys.modules, "agent", agent_module)
        self.probe = Probe(None)
        rows = []
        if instrumented:
            calls = extension_calls.Cached(self.probe, self.probe.extension_classes, fast=True)
            rows = [
                Patch("implicit_extension:call_extensions_async", "extensions", calls.asynchronous),
                Patch("implicit_extension:call_extensions_sync", "extensions", calls.synchronous),
                Patch("implicit_extension:extensible", "extensions", extensible.decorating(self.probe)),
            ]
        self.patches = PatchSet(rows)
        self.patches.start()
        self.user: Any = module_of("implicit_user", USER)
        monkeypatch.setitem(sys.modules, "implicit_user", self.user)

    def point(self, function: str, when: str) -> str:
        return os.path.join("_functions", "implicit_user", *function.split("."), when)

    def put(self, function: str, when: str, execute: Callable[..., Any], project: str = "") -> None:
        """An extension that takes effect once the host looks again."""
        point = self.point(function, when)
        key: Any = (project, point) if project else point
        self.extension.DISK[key] = [type("Ext", (), {"__init__": take_agent, "execute": execute})]
        self.cache.clear("classes")

    def stop(self) -> None:
        self.patches.stop()
        for work in self.probe.at_stop:
            work()


def take_agent(self: Any, agent: Any) -> None:
    self.agent = agent


class Agent:
    def __init__(self, project: str = "", profile: str = "") -> None:
        self.config = SimpleNamespace(profile=profile)
        self.project = project
        self.context = SimpleNamespace(get_data=lambda _name: self.project)


def warm(host: Host) -> None:
    """Points are known from their first call on."""
    for _ in range(2):
        assert host.user.plain(1, 2) == 2
        assert asyncio.run(host.user.waits(1, 2, 3)) == 3
    host.user.RAN.clear()


def told(host: Host, call: Callable[[Host], Any]) -> dict[str, Any]:
    """What a call gives or raises, with its traceback as the host would format it."""
    try:
        result = call(host)
        if inspect.isawaitable(result):

            async def wait() -> Any:
                return await result

            result = asyncio.run(wait())
        return {"result": re.sub(r" at 0x\w+", "", repr(result)), "ran": repr(host.user.RAN)}
    except BaseException as error:
        without_our_frames(error)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return {"error": text.replace("await result", ""), "ran": repr(host.user.RAN)}


def record(log: list[Any], what: str) -> Callable[..., Any]:
    def execute(self: Any, data: dict[str, Any], **kwargs: Any) -> None:
        log.append((what, self.agent, data["args"], repr(data["result"])[:8], repr(data["exception"])))

    return execute
