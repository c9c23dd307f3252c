"""Functions around which nothing is to run: called directly, and as if they had not been."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.dispatch import extensible
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses
from tests.implicit_host import USER, Host, record, told, warm
from tests.seam import module_of


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Host]]:
    made: list[Host] = []

    def make(instrumented: bool) -> Host:
        made.append(Host(monkeypatch, instrumented))
        return made[-1]

    yield make
    for host in made:
        host.stop()


@pytest.fixture
def host(hosts: Callable[[bool], Host]) -> Host:
    made = hosts(True)
    warm(made)
    return made


CALLS: dict[str, Callable[[Host], Any]] = {
    "plain": lambda h: h.user.plain(1, b=2),
    "waits": lambda h: h.user.waits(1, b=2),
    "unset": lambda h: h.user.nothing(),
    "method": lambda h: h.user.Thing().method(agent=3),
    "static": lambda h: h.user.Thing.static(4),
    "class": lambda h: h.user.Thing.of_class(4)[1],
    "local": lambda h: h.user.local()(5),
    "generator": lambda h: list(h.user.counts()),
    "error": lambda h: h.user.fails(ValueError("wrong")),
    "late error": lambda h: h.user.fails_late(ValueError("wrong")),
    "stop iteration": lambda h: h.user.fails(StopIteration("over")),
    "late stop iteration": lambda h: h.user.fails_late(StopIteration("over")),
    "cancelled": lambda h: h.user.fails(asyncio.CancelledError("no")),
    "cancelled late": lambda h: h.user.fails_late(asyncio.CancelledError("no")),
    "generator exit": lambda h: h.user.fails(GeneratorExit("no")),
    "generator exit late": lambda h: h.user.fails_late(GeneratorExit("no")),
    "exit": lambda h: h.user.fails(SystemExit(3)),
    "bad arguments": lambda h: h.user.fails(),
    "bad arguments late": lambda h: h.user.two(1),
    "bad arguments by name": lambda h: h.user.two(1, b=2, c=3),
    "while handling": lambda h: handling(h, h.user.fails, ValueError("wrong")),
    "while handling late": lambda h: handling(h, h.user.fails_late, ValueError("wrong")),
}  # fmt: skip


def handling(host: Host, call: Any, error: Exception) -> Any:
    try:
        raise KeyError("outer")
    except KeyError:
        result = call(error)
        if inspect.isawaitable(result):
            asyncio.run(awaited(result))


async def awaited(what: Any) -> Any:
    return await what


@pytest.mark.parametrize("name", CALLS)
def test_the_same_comes_of_it(hosts: Callable[[bool], Host], name: str) -> None:
    seen = []
    for instrumented in (False, True):
        made = hosts(instrumented)
        warm(made)
        seen.append([told(made, CALLS[name]) for _ in range(3)])
        made.stop()
    assert seen[1] == seen[0]


def test_nothing_is_looked_up_while_both_are_empty(host: Host) -> None:
    host.extension.LOOKED_UP.clear()
    before = host.probe.extension_lookups.total()
    host.user.plain(1)
    asyncio.run(host.user.waits(1))
    assert host.extension.LOOKED_UP == []
    assert host.probe.extension_lookups.total() - before == 4
    assert host.user.plain.__wrapped__.__name__ == host.user.plain.__name__ == "plain"
    assert inspect.iscoroutinefunction(host.user.waits)


def test_the_host_is_asked_where_it_may_know_better(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> bool:
        host.extension.LOOKED_UP.clear()
        assert host.user.plain(1) == 1
        return bool(host.extension.LOOKED_UP)

    assert not asked()
    with monkeypatch.context() as patch:
        patch.setenv("EXTENSIONS_LOG", "0")
        assert asked()
    with monkeypatch.context() as patch:
        patch.setitem(host.cache._enabled_areas, "classes", False)
        assert asked()
    with monkeypatch.context() as patch:
        patch.setattr(host.cache, "_enabled_global", False)
        assert asked()
    assert not asked()
    host.cache.clear("classes")
    assert asked()
    assert not asked()


def test_another_call_of_extensions_is_left_its_due(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    original = host.extension.call_extensions_sync

    def theirs(point: str, *args: Any, **kwargs: Any) -> Any:
        called.append(point)
        return original(point, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(host.extension, "call_extensions_sync", theirs)
        host.user.plain(1)
        assert called == [host.point("plain", "start"), host.point("plain", "end")]
    host.extension.LOOKED_UP.clear()
    host.user.plain(1)
    assert host.extension.LOOKED_UP == []


def test_a_cancelled_task_skips_the_end(hosts: Callable[[bool], Host]) -> None:
    async def cancel(user: Any) -> str:
        task = asyncio.ensure_future(user.sleeps())
        await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
        return "not cancelled"

    for instrumented in (False, True):
        made, log = hosts(instrumented), []  # type: ignore[var-annotated]
        warm(made)
        asyncio.run(cancel(made.user))
        made.put("sleeps", "end", record(log, "end"))
        assert asyncio.run(cancel(made.user)) == "cancelled"
        assert log == []
        assert made.user.RAN == ["woken"] * 2
        made.stop()


def test_a_coroutine_that_is_closed_ends_at_once(host: Host) -> None:
    async def close() -> None:
        coroutine = host.user.sleeps()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(close())
    asyncio.run(close())
    assert host.user.RAN == ["woken"] * 2


def test_another_decorator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensible, "KNOWN", set())
    made = Host(monkeypatch, True)
    assert made.patches.rows[-1].state == "unrecognised"
    assert "implicit.py" not in made.user.plain.__code__.co_filename
    made.stop()


def test_taken_back_it_is_the_host_s_own(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: Any = ModuleType("implicit_copy")
    copied.plain = host.user.plain
    monkeypatch.setitem(sys.modules, "implicit_copy", copied)
    kept = host.user.plain
    host.stop()
    for function in (
        host.user.plain, host.user.waits, copied.plain, vars(host.user.Thing)["method"],
        vars(host.user.Thing)["static"].__func__, vars(host.user.Thing)["of_class"].__func__,
    ):  # fmt: skip
        assert function.__code__.co_filename == "<implicit_extension>"
    host.extension.LOOKED_UP.clear()
    assert kept(1) == 1
    looked_up = [host.point("plain", "start"), host.point("plain", "end")]
    assert looked_up == host.extension.LOOKED_UP


def test_modules_that_are_executed_again_leave_nothing_behind(host: Host) -> None:
    import gc
    import weakref

    module = module_of("implicit_again", USER)
    gone = weakref.ref(module.plain)
    del module
    gc.collect()
    assert gone() is None


def test_what_lies_in_no_list_of_modules_is_given_back_too(host: Host) -> None:
    """As tools and extensions do, which are loaded by their path."""
    module = module_of("implicit_by_path", USER)
    assert "implicit_by_path" not in sys.modules
    host.stop()
    assert module.plain.__code__.co_filename == "<implicit_extension>"


def test_both_points_are_touched(host: Host) -> None:
    host.user.plain(1)
    area = host.cache._cache["classes"]
    for when in ("start", "end"):
        area["none", "none", host.point("plain", when)].timestamp = 0.0
    host.user.plain(1)
    assert all(area["none", "none", host.point("plain", when)].timestamp for when in ("start", "end"))


def test_pair_needs_a_cache_that_can_be_read() -> None:
    assert not ExtensionClasses().pair("a", "b")(None)
