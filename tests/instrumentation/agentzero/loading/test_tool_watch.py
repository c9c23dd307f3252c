"""A tool under watch looks as it does bare: to itself, to extensions, to the host; its class goes back."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import sys
import types
import warnings
import weakref
from functools import partial, partialmethod
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.loading import tool_watch
from autoperf.instrumentation.agentzero.loading.guards import Guard
from autoperf.instrumentation.agentzero.tracing.tool_execution import watch
from tests.instrumentation.agentzero.tracing.test_tool_execution import rows

SOURCE = """
class Base:
    async def execute(self, text: str = "", **kwargs):
        '''Echo.'''
        return ("base", text)

class Echo(Base):
    async def execute(self, text: str = "", **kwargs):
        '''Echo.'''
        return ("echo", await super().execute(text))

class Other:
    async def execute(self, **kwargs):
        return "other"
"""


def fresh(source: str = SOURCE) -> types.ModuleType:
    """A module executed anew, as a tool's is from v0.9.3 on; importable, so that its objects pickle."""
    module = types.ModuleType("tool_under_test")
    exec(compile(source, __file__, "exec"), vars(module))
    sys.modules[module.__name__] = module
    return module


@pytest.fixture(autouse=True)
def _undone():
    yield
    tool_watch.undo()
    sys.modules.pop("tool_under_test", None)


def both(look: Any, source: str = SOURCE) -> list[Any]:
    """What ``look(module, tool)`` tells of a tool bare, and of one under watch."""
    told = []
    for watched in (False, True):
        module = fresh(source)
        tool = module.Echo()
        if watched:
            watch(Probe(None), tool, "echo", kind="function")
            assert tool_watch.waiting(tool) is not None
        told.append(look(module, tool))
    return told


def copied(module: Any, tool: Any) -> Any:
    tool.text = "of the copy"
    other = copy.copy(tool)
    other.text = "changed"
    return asyncio.run(other.execute("a")), vars(other), other.execute.__self__ is other


def patched_class(module: Any, tool: Any) -> Any:
    """What an extension at tool_execute_before may do."""
    original = type(tool).execute

    async def execute(self: Any, **kwargs: Any) -> Any:
        return "patched", await original(self, **kwargs)

    type(tool).execute = execute
    return asyncio.run(tool.execute(text="a")), type(tool).execute is execute


def patched_object(module: Any, tool: Any) -> Any:
    original = tool.execute

    async def execute(**kwargs: Any) -> Any:
        return "patched", await original(**kwargs)

    tool.execute = execute
    return asyncio.run(tool.execute(text="a")), tool.execute is execute, set(vars(tool))


def of_the_class(module: Any, tool: Any) -> Any:
    function = type(tool).execute
    return (
        isinstance(function, types.FunctionType),
        inspect.iscoroutinefunction(function),
        inspect.signature(function),
        function.__doc__,
        function.__code__.co_firstlineno,
        function is vars(type(tool))["execute"],
        copy.deepcopy(function) is function,
        pickle.loads(pickle.dumps(function)) is function,
        repr(function).split(" at ")[0],
        list(vars(type(tool))),
    )


def refused(module: Any, tool: Any) -> Any:
    with pytest.raises(TypeError) as caught:
        tool.execute(1, 2, 3)
    return str(caught.value)


@pytest.mark.parametrize(
    "look",
    [
        lambda module, tool: vars(tool),
        lambda module, tool: vars(pickle.loads(pickle.dumps(tool))),
        lambda module, tool: tool.execute.__self__ is tool,
        lambda module, tool: tool.execute.__func__ is vars(type(tool))["execute"],
        lambda module, tool: tool.execute == tool.execute,
        lambda module, tool: type(tool.execute) is types.MethodType,
        lambda module, tool: inspect.iscoroutinefunction(tool.execute),
        lambda module, tool: inspect.signature(tool.execute),
        lambda module, tool: asyncio.run(module.Base.execute(tool, "a")),
        lambda module, tool: asyncio.run(type(tool).execute(tool, "a")),
        copied,
        patched_class,
        patched_object,
        of_the_class,
        refused,
    ],
)
def test_bare_and_under_watch_it_shows_the_same(look):
    bare, watched = both(look)
    assert watched == bare


def test_the_coroutine_has_the_tools_name():
    def look(module: Any, tool: Any) -> Any:
        execution = tool.execute()
        told = inspect.iscoroutine(execution), execution.__name__, execution.__qualname__
        execution.close()
        return told

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bare, watched = both(look)
        gc.collect()
    assert watched == bare


def test_a_call_of_the_base_class_is_a_part_of_the_execution():
    probe, module = Probe(None), fresh()
    base, tool = module.Base(), module.Echo()
    for one, name in ((base, "base"), (tool, "echo")):
        watch(probe, one, name, kind="function")
    assert asyncio.run(tool.execute("a")) == ("echo", ("base", "a"))
    assert rows(probe) == {"echo": (1, 0)}
    asyncio.run(base.execute("a"))
    assert rows(probe) == {"echo": (1, 0), "base": (1, 0)}


@pytest.mark.parametrize(
    "execute",
    [
        property(lambda self: self.run),
        staticmethod(lambda: "static"),
        classmethod(lambda cls: "class"),
        partialmethod(lambda self, word: word, "partial"),
        partial(lambda: "partial"),
    ],
)
def test_an_execute_that_is_no_function_is_left_alone(execute):
    kind = type("Odd", (), {"execute": execute, "run": lambda self: "property"})
    told = kind().execute()
    tool = kind()
    watch(Probe(None), tool, "odd", kind="function")
    assert tool.execute() == told
    assert vars(kind)["execute"] is execute


def test_objects_that_compare_equal_and_have_no_hash_are_told_apart():
    class Equal(fresh().Base):
        def __eq__(self, other: object) -> bool:
            return True

    probe = Probe(None)
    one, other = Equal(), Equal()
    watch(probe, one, "one", kind="function")
    asyncio.run(other.execute())
    assert rows(probe) == {}
    asyncio.run(one.execute())
    assert rows(probe) == {"one": (1, 0)}


def test_neither_tools_nor_classes_are_kept():
    class Agent:
        agent_name = "A0"

    tool = fresh().Echo()
    tool.agent = Agent()
    watch(Probe(None), tool, "echo", kind="function")
    asyncio.run(tool.execute())
    kept = [weakref.ref(tool), weakref.ref(tool.agent), weakref.ref(type(tool))]
    del tool, sys.modules["tool_under_test"]
    gc.collect()
    assert [one() for one in kept] == [None] * 3
    assert (tool_watch._tools, tool_watch._classes) == ({}, {})


def test_undone_every_class_is_as_it_was():
    module = fresh()
    before = {kind: dict(vars(kind)) for kind in (module.Base, module.Echo, module.Other)}
    probe = Probe(None)
    tools = [kind() for kind in before]
    for tool in tools:
        watch(probe, tool, "any", kind="function")
    module.Other.execute = changed = lambda self: "changed"
    before[module.Other]["execute"] = changed
    for work in probe.at_stop:
        work()
    assert {kind: dict(vars(kind)) for kind in before} == before
    assert all(type(vars(kind)["execute"]) is types.FunctionType for kind in before)
    asyncio.run(tools[0].execute())
    assert rows(probe) == {}


def test_what_stands_on_a_class_is_no_change_and_what_a_user_puts_there_is_one():
    module = fresh()
    guard = Guard(module, [], [])
    watch(Probe(None), module.Echo(), "echo", kind="function")
    assert guard.holds()
    assert guard.holds()
    module.Other.execute = module.Echo.execute
    assert not guard.holds()
    del module.Other.execute
    tool_watch.undo()
    module = fresh()
    guard = Guard(module, [], [])
    watch(Probe(None), module.Echo(), "echo", kind="function")
    original = module.Echo.execute
    module.Echo.execute = lambda self: original(self)
    assert not guard.holds()


@pytest.mark.parametrize("part", ["execution", "begin", "returned", "_opened", "_told", "_measure", "_count"])
def test_a_failure_of_ours_stays_ours(part, fail_open, monkeypatch):
    from autoperf.instrumentation.agentzero.tracing import tool_execution

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ours")

    owner = tool_execution._Watched if part == "execution" else tool_execution._Execution
    monkeypatch.setattr(owner, part, fails)
    module = fresh()
    runs = []

    class Counting(module.Base):
        async def execute(self, **kwargs: Any) -> Any:
            runs.append(kwargs)
            return await super().execute(**kwargs)

    tool = Counting()
    watch(Probe(None), tool, "echo", kind="function")
    assert asyncio.run(tool.execute(text="a")) == ("base", "a")
    assert runs == [{"text": "a"}]
