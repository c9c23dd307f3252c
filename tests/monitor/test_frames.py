"""Frames of other threads are looked at, and no code of the objects in them runs for that."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.activity import host_facts
from autoperf.instrumentation.agentzero.activity.stack_owner import whereabouts
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from autoperf.monitor import Stalls
from autoperf.monitor.frames import held, method_owner

ASKED: list[str] = []


class Touchy:
    """Whatever it is asked for, it notes; it claims to be anything."""

    def __init__(self, **names: Any) -> None:
        object.__setattr__(self, "names", names)

    def __getattribute__(self, name: str) -> Any:
        ASKED.append(name)
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        ASKED.append(name)
        return 7

    @property
    def __class__(self) -> Any:
        ASKED.append("__class__")
        return asyncio.AbstractEventLoop

    @property
    def __dict__(self) -> Any:
        ASKED.append("__dict__")
        return {"id": "made up"}

    agent = context = property(lambda self: ASKED.append("property"))

    def work(self, inside: Callable[[], None]) -> None:
        inside()

    def blocked(self) -> None:
        entered.set()
        leave.wait(10)


entered, leave = threading.Event(), threading.Event()


@contextmanager
def stack_of(*names: str) -> Iterator[list[FrameType]]:
    """The frames of a thread that stands in methods of these names, of touchy objects."""

    def run(rest: tuple[str, ...]) -> None:
        touchy = Touchy()
        if not rest:
            type(touchy).blocked(touchy)
            return
        function = type(touchy).work
        named = types.FunctionType(function.__code__.replace(co_name=rest[0]), function.__globals__)
        named(touchy, lambda: run(rest[1:]))

    entered.clear()
    leave.clear()
    thread = threading.Thread(target=run, args=(names,))
    thread.start()
    assert entered.wait(10)
    ASKED.clear()
    frame: FrameType | None = sys._current_frames()[thread.ident or 0]
    frames: list[FrameType] = []
    while frame is not None:
        frames.insert(0, frame)
        frame = frame.f_back
    try:
        yield frames
    finally:
        del frames, frame
        leave.set()
        thread.join()


def test_where_a_stack_is_asks_nothing_of_the_objects_in_it() -> None:
    with stack_of("monologue", "execute") as frames:
        assert whereabouts(frames) == {"chat": "", "tool": ""}
        assert ASKED == []


def test_looking_for_loops_asks_nothing_of_what_is_no_loop(tmp_path) -> None:
    with stack_of("run_forever", "_run_once"):
        stalls = Stalls(str(tmp_path))
        stalls.discover()
        stalls.release()
        assert ASKED == []


def test_how_many_chats_there_are_is_asked_of_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("agent")
    module.__getattr__ = lambda name: ASKED.append(name)
    ASKED.clear()
    for stands in (module, Touchy()):
        monkeypatch.setitem(sys.modules, "agent", stands)
        monkeypatch.setitem(sys.modules, "helpers.whisper", stands)
        assert host_facts.chats() is None
        assert not host_facts.used(types.SimpleNamespace(local_models=0))  # type: ignore[arg-type]
    assert ASKED == []
    module.AgentContext = type("AgentContext", (), {"_contexts": {"a": 1}})
    monkeypatch.setitem(sys.modules, "agent", module)
    assert host_facts.chats() == 1


def test_locals_that_are_a_mapping_of_somebodys_are_not_read() -> None:
    class Mapping(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            ASKED.append(name)
            return default

    found: list[FrameType] = []
    exec("found.append(frame())", {"found": found, "frame": lambda: sys._getframe(1)}, Mapping(self=1))
    ASKED.clear()
    assert method_owner(found[0]) is None
    assert ASKED == []


def test_what_is_stored_on_an_object_or_its_class_is_found() -> None:
    class Tool:
        kind = "class"

        def __init__(self) -> None:
            self.name = "own"

    assert (held(Tool(), "name"), held(Tool(), "kind"), held(Tool(), "other")) == ("own", "class", None)


def test_whether_the_hosts_cache_can_be_read_asks_nothing_of_its_entries() -> None:
    cache: Any = types.ModuleType("cache")
    cache._cache, cache.get, cache.determine_cache_key = {"classes": {"a": Touchy()}}, len, len
    classes = ExtensionClasses()
    classes.bind({"cache": cache, "_CLASSES_CACHE_AREA": "classes", "_get_extension_classes": len})
    ASKED.clear()
    assert classes._unread() == (
        "the host keeps extension classes in another way than is known",
        "unrecognised",
    )
    assert ASKED == []
    cache._cache["classes"] = {"a": types.SimpleNamespace(timestamp=1.0, value=[])}
    assert classes._unread() is None
