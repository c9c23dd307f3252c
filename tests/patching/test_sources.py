"""The source of a function, found without reading it as tokens: the same lines as `inspect` gives."""

from __future__ import annotations

import argparse
import asyncio.base_events
import dataclasses
import functools
import inspect
import linecache
import sys
import typing
import unittest.mock
from types import FunctionType, ModuleType
from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.patching import sources
from autoperf.patching.sources import digest, source_lines, text_digest

MODULES = [argparse, asyncio.base_events, dataclasses, functools, inspect, typing, unittest.mock, sources]


def functions(module: ModuleType) -> list[FunctionType]:
    """Those that a module defines, methods included."""
    spaces = [vars(module), *(vars(found) for found in vars(module).values() if isinstance(found, type))]
    found = [value for space in spaces for value in space.values() if isinstance(value, FunctionType)]
    return [f for f in found if f.__module__ == module.__name__ and not hasattr(f, "__wrapped__")]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_as_inspect_gives_it(module: ModuleType) -> None:
    found = functions(module)
    assert found
    for function in found:
        try:
            expected = inspect.getsourcelines(function)
        except OSError:
            continue  # made at run time
        assert source_lines(function) == expected
        assert digest(function) == text_digest(inspect.getsource(function))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the code does not know where it ends")
def test_hardly_ever_by_way_of_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    monkeypatch.setattr(sources.inspect, "getsourcelines", lambda function: read.append(function) or ([], 1))
    found = functions(argparse)
    for function in found:
        source_lines(function)
    assert len(read) < len(found) / 10


ODD = '''
def dead():
    return 1
    print("never compiled")


def commented():
    return 1
    # part of it

# not part of it
def documented():
    """
Text at the margin.
    """


def folded():
    return (
        1
)


def nested():
    def inner():
        return """
at the margin
"""
    return inner


class Holder:
    def method(self): return 1
    @staticmethod
    def other():
        if False:
            print("gone")
    # belongs to nobody
    value = 1


short = lambda: 1
last = 3
def final():
    pass
'''


def test_odd_endings() -> None:
    module = ModuleType("odd_endings")
    linecache.cache["<odd>"] = (len(ODD), None, ODD.splitlines(keepends=True), "<odd>")
    exec(compile(ODD, "<odd>", "exec"), vars(module))
    holder = vars(module)["Holder"]
    found = [value for value in vars(module).values() if isinstance(value, FunctionType)]
    for function in [*found, holder.method, holder.other]:
        assert source_lines(function) == inspect.getsourcelines(function), function


def test_without_a_source_there_is_no_digest() -> None:
    space: dict[str, Any] = {}
    exec("def made(): pass", space)
    assert digest(space["made"]) == ""
    with pytest.raises(OSError, match="source"):
        source_lines(space["made"])
    assert digest(len) == ""


class _Locked:
    def asks(self, name):
        with self.__lock:
            return any(found.name == name for found in sorted(self.tools))


def test_what_a_function_asks_for():
    assert sources.asks_only(_Locked.asks, {"__lock", "name", "tools"})
    assert not sources.asks_only(_Locked.asks, {"__lock", "tools"})
    assert not sources.asks_only(len, {"__lock", "name", "tools"})


def test_code_that_was_changed_to_do_more_asks_for_more():
    def known(self):
        return [one.name for one in self.tools]

    def changed(self):
        self.calls += 1
        return [one.name for one in self.tools]

    def inside(self):
        return [one.name for one in (print(two) or two for two in self.tools)]

    sources.expect_names(known, {"name", "tools"})
    for function in (changed, inside):
        with pytest.raises(AutoperfError, match="it asks for more than is known"):
            sources.expect_names(function, {"name", "tools"})
