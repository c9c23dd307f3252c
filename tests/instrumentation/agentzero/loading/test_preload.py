"""A tool is made ready while its arguments stream: compiled, or executed where it was before and may be."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
import threading
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.loading import preload
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.patching.patch import Switch, replacement

REPLY = '{"thoughts": ["\\"tool_name\\": \\"no\\""], "tool_name": "cold:now", "tool_args": {"a": 1}}'
TOOL = "import journal\njournal.SEEN.append('executed')\nVALUE = 'first'\n"


class Agent:
    config = SimpleNamespace(profile="")


class Ahead:
    """Stands for what executes; `wants` and `makes` are the paths where there is something to do."""

    def __init__(self) -> None:
        self.wants: set[str] = set()
        self.makes: set[str] = set()
        self.asked: list[str] = []

    def wanted(self, path: str) -> bool:
        return path in self.wants

    def load(self, path: str) -> bool:
        self.asked.append(path)
        return path in self.makes


class Host:
    """A folder with tools, a loader in the host's way, and our two replacements in place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.probe = Probe(None)
        self.probe.root = str(root)
        self.code = self.probe.code = CodeCache(300.0)
        self.agent = Agent()
        self.switch = Switch()
        self.seen: list[str] = []
        self.probe.ahead = self.ahead = Ahead()
        targets = {name: f"host:{name}" for name in ("reply", "item", "delta")}
        reply, item, delta = (build for _, build in preload.rows(targets, self.probe))
        self.importlib: Any = replacement(importlib, self.code.importlib_view, self.switch)
        self.preloading: preload.Preloading = reply.__self__

        async def handle_response_stream(self: Any, stream: str) -> str:
            return stream

        self.handle = replacement(handle_response_stream, reply, self.switch)
        self.item = replacement(lambda self, item, event: (item, event), item, self.switch)
        self.delta = replacement(lambda self, tool_call, delta: delta, delta, self.switch)

    def write(self, text: str, name: str = "cold") -> Path:
        path = self.root / "tools" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def stream(self, text: str, size: int = 3) -> None:
        """The growing reply, prefix by prefix; then what that started has ended."""
        for end in range(size, len(text) + size, size):
            assert asyncio.run(self.handle(self.agent, text[:end])) == text[:end]
        self.join()

    def join(self) -> None:
        if self.preloading.thread is not None:
            self.preloading.thread.join()

    def load(self, name: str = "cold") -> types.ModuleType:
        path = str(self.root / "tools" / f"{name}.py")
        spec = self.importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


@pytest.fixture
def host(tmp_path, monkeypatch):
    journal = types.ModuleType("journal")
    journal.SEEN = []
    monkeypatch.setitem(sys.modules, "journal", journal)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    made = Host(tmp_path)
    made.seen = journal.SEEN
    return made


@pytest.fixture
def compilations(monkeypatch):
    """The paths that Python's own loader compiles."""
    found: list[str] = []
    compiling = importlib.machinery.SourceFileLoader.source_to_code

    def source_to_code(self, data, path, **options):
        found.append(str(path))
        return compiling(self, data, path, **options)

    monkeypatch.setattr(importlib.machinery.SourceFileLoader, "source_to_code", source_to_code)
    return found


def test_compiled_once_ahead_and_executed_at_its_use(host, compilations):
    path = host.write(TOOL)
    host.stream(REPLY)
    assert compilations == [str(path)]
    assert host.seen == []
    assert not list(path.parent.glob("__pycache__/*"))  # that belongs to its first use
    assert host.load().VALUE == "first"
    assert compilations == [str(path)]
    assert host.seen == ["executed"]
    assert list(path.parent.glob("__pycache__/cold.*.pyc"))


def test_ready_before_the_arguments_are_there(host, compilations):
    path = host.write(TOOL)
    host.stream(REPLY[: REPLY.index('"tool_args"')])
    assert compilations == [str(path)]


def test_an_edit_between_is_seen(host):
    host.write(TOOL)
    host.stream(REPLY)
    host.write(TOOL.replace("first", "other"))
    assert host.load().VALUE == "other"


def test_the_same_bytes_and_time_of_another_file_are_not_enough(host):
    """Same size, same mtime: only the source itself tells that it was edited."""
    path = host.write(TOOL)
    before = path.stat()
    host.stream(REPLY)
    host.write(TOOL.replace("first", "other"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert host.load().VALUE == "other"


def test_deleted_between(host):
    path = host.write(TOOL)
    host.stream(REPLY)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        host.load()


def test_a_name_in_the_thoughts_is_no_tool(host, compilations):
    host.write(TOOL, "no")
    host.stream(REPLY)
    assert compilations == []


def test_every_reply_anew_and_what_is_unchanged_not_again(host, compilations):
    host.write(TOOL)
    second = host.write(TOOL, "second")
    host.stream(REPLY)
    host.stream(REPLY.replace("cold:now", "second"))
    assert compilations[1:] == [str(second)]
    host.stream(REPLY)
    assert len(compilations) == 2
    assert host.probe.memos["preloaded tools"].as_row()["hits"] == 1


def test_what_was_edited_is_made_ready_again(host, compilations):
    path = host.write(TOOL)
    host.stream(REPLY)
    host.write(TOOL + "# longer\n")
    host.stream(REPLY)
    assert compilations == [str(path)] * 2


def test_one_thread_at_a_time(host, compilations):
    host.write(TOOL)
    second = host.write(TOOL, "second")
    entered, go_on = threading.Event(), threading.Event()

    def compile_ahead(_path):
        entered.set()
        go_on.wait(10)
        return False

    host.code.compile_ahead = compile_ahead
    asyncio.run(host.handle(host.agent, REPLY))
    assert entered.wait(10)
    at_it = host.preloading.thread
    asyncio.run(host.handle(host.agent, REPLY[:10]))
    asyncio.run(host.handle(host.agent, REPLY.replace("cold:now", "second")))
    assert host.preloading.thread is at_it
    go_on.set()
    at_it.join()
    assert str(second) not in compilations


def test_a_file_that_has_its_bytecode_is_not_compiled(host, compilations):
    host.write(TOOL)
    host.load()
    compilations.clear()
    host.stream(REPLY)
    assert compilations == []


@pytest.mark.parametrize("text", ["def broken(:\n", "\0"])
def test_what_is_wrong_with_it_is_found_at_its_use(host, text):
    path = host.write(text)
    host.stream(REPLY)
    with pytest.raises(SyntaxError) as ours:
        host.load()
    with pytest.raises(SyntaxError) as bare:
        compile(path.read_bytes(), str(path), "exec")
    assert str(ours.value) == str(bare.value)


@pytest.mark.parametrize("name", ["../secret", "a/b", "*", "a.b", ""])
def test_odd_names_are_left_alone(host, name):
    host.stream(REPLY.replace("cold:now", name))
    assert host.preloading.thread is None


def test_places_of_profiles_and_plugins(host, compilations):
    host.agent.config = SimpleNamespace(profile="me")
    paths = [
        host.root / folder / "cold.py"
        for folder in ("python/tools", "agents/me/tools", "plugins/one/tools", "usr/plugins/two/tools")
    ]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_text(TOOL)
    (host.root / "agents/other/tools").mkdir(parents=True)
    (host.root / "agents/other/tools/cold.py").write_text(TOOL)
    host.stream(REPLY)
    assert sorted(compilations) == sorted(map(str, paths))


def test_off_it_does_nothing(host, compilations):
    host.write(TOOL)
    host.switch.on = False
    host.stream(REPLY)
    assert compilations == []


def test_what_is_executed_ahead_is_not_compiled_too(host, compilations):
    path = str(host.write(TOOL))
    host.ahead.makes = {path}
    host.stream(REPLY)
    assert host.ahead.asked == [path]
    assert compilations == []
    assert (host.preloading.executed, host.preloading.compiled) == (1, 0)


def test_a_file_is_asked_for_again_while_there_is_something_to_do(host):
    path = str(host.write(TOOL))
    host.ahead.wants = {path}
    host.stream(REPLY)
    host.stream(REPLY)
    assert host.ahead.asked == [path, path]
    host.ahead.wants = set()
    host.stream(REPLY)
    assert host.ahead.asked == [path, path]
    assert host.probe.memos["preloaded tools"].as_row()["hits"] == 1


def test_without_the_feature_tools_nothing_is_executed(host, compilations):
    path = host.write(TOOL)
    host.preloading.ahead = None
    host.stream(REPLY)
    host.stream(REPLY)
    assert compilations == [str(path)]


@pytest.mark.parametrize("native", [{"type": "function_call", "name": "cold"}, SimpleNamespace(name="cold")])
def test_a_native_call_before_its_arguments(host, compilations, native):
    path = host.write(TOOL)
    assert host.item(None, native, "event") == (native, "event")
    host.join()
    assert compilations == [str(path)]


@pytest.mark.parametrize("native", [{"name": "cold", "arguments": ""}, SimpleNamespace(name="cold")])
def test_a_native_call_in_pieces(host, compilations, native):
    path = host.write(TOOL)
    assert host.delta(None, {}, native) is native
    host.join()
    assert compilations == [str(path)]
    assert host.delta(None, {}, {"arguments": "{"}) == {"arguments": "{"}
    assert host.delta(None, {}, None) is None
    assert len(host.probe.memos) == 1
    assert host.probe.memos["preloaded tools"].as_row()["misses"] == 1


def test_a_native_call_does_not_say_for_which_profile(host, compilations):
    paths = [host.root / folder / "cold.py" for folder in ("agents/one/tools", "usr/agents/two/tools")]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_text(TOOL)
    host.item(None, {"name": "cold"}, None)
    host.join()
    assert sorted(compilations) == sorted(map(str, paths))


@pytest.mark.parametrize("native", [{"name": "../cold"}, {"name": 7}, {}, None, {"name": "cold:now"}])
def test_odd_native_calls_are_left_alone(host, native):
    host.write(TOOL)
    assert host.item(None, native, None) == (native, None)
    assert host.preloading.thread is None


def test_native_calls_with_the_feature_off(host):
    host.write(TOOL)
    host.switch.on = False
    host.item(None, {"name": "cold"}, None)
    host.delta(None, {}, {"name": "cold"})
    assert host.preloading.thread is None
