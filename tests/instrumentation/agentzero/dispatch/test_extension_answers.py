"""An extension call with the host's own code and quicker answers: the same in everything but time."""

from __future__ import annotations

import asyncio
import inspect
import traceback
import types
import typing
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.dispatch.answering import extension_call
from autoperf.instrumentation.agentzero.dispatch.class_cache import ExtensionClasses

SOURCE = """
async def call_extensions_async(extension_point, agent=None, **kwargs):
    _log_extension_call(extension_point)

    classes = _get_extension_classes(extension_point, agent=agent, **kwargs)

    for cls in classes:
        result = cls(agent=agent).execute(**kwargs)
        if isinstance(result, Awaitable):
            await result


def call_extensions_sync(extension_point, agent=None, **kwargs):
    _log_extension_call(extension_point)

    classes = _get_extension_classes(extension_point, agent=agent, **kwargs)

    for cls in classes:
        result = cls(agent=agent).execute(**kwargs)
        if isinstance(result, Awaitable):
            raise ValueError(
                f"Extension {cls.__name__} returned awaitable in sync mode"
            )
"""


class Host:
    """The module of a host (v0.9.9 on), whose look-ups are counted."""

    def __init__(self, monkeypatch) -> None:
        monkeypatch.delenv("EXTENSIONS_LOG", raising=False)
        self.area: dict[Any, Any] = {}
        self.looked_up: list[str] = []
        self.logged: list[str] = []
        self.classes: dict[str, list[type]] = {}
        cache = types.SimpleNamespace(_cache={"area": self.area}, _enabled_areas={}, _enabled_global=True)

        def _get_extension_classes(point: str, agent: Any = None, **kwargs: Any) -> list[type]:
            self.looked_up.append(point)
            entry = types.SimpleNamespace(value=self.classes.get(point, []), timestamp=0.0)
            return self.area.setdefault(("none", "none", point), entry).value

        self.names: dict[str, Any] = {
            "cache": cache,
            "_CLASSES_CACHE_AREA": "area",
            "_get_extension_classes": _get_extension_classes,
            "_log_extension_call": self.logged.append,
            "Awaitable": typing.Awaitable,
            "__name__": "helpers.extension",
        }
        exec(compile(SOURCE, "helpers/extension.py", "exec"), self.names)
        self.known = ExtensionClasses()
        self.known.bind(self.names)

    def both(self, kind: str) -> tuple[Any, Any]:
        original = self.names[f"call_extensions_{kind}"]
        return original, extension_call(original, self.known)

    def forget(self) -> None:
        self.area.clear()
        self.looked_up.clear()


@pytest.fixture
def host(monkeypatch) -> Host:
    return Host(monkeypatch)


def extension(execute: Any) -> type:
    return type("E", (), {"__init__": lambda self, agent: None, "execute": execute})


def run(function: Any, *args: Any, **kwargs: Any) -> Any:
    found = function(*args, **kwargs)
    return asyncio.run(found) if inspect.isawaitable(found) else found


def outcome(function: Any, **kwargs: Any) -> Any:
    try:
        return run(function, "point", **kwargs)
    except BaseException as error:
        shown = traceback.extract_tb(error.__traceback__)
        frames = [
            (f.filename, f.lineno, f.name, f.line) for f in shown if f.filename == "helpers/extension.py"
        ]
        return type(error), str(error), frames


async def later(data: list[int]) -> None:
    await asyncio.sleep(0)
    data.append(1)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_the_host_is_asked_once_and_its_extensions_run_every_time(host, kind):
    ran: list[Any] = []
    host.classes["point"] = [extension(lambda self, **kwargs: ran.append(kwargs))]
    _, quick = host.both(kind)
    for number in range(4):
        run(quick, "point", data=number)
    assert ran == [{"data": number} for number in range(4)]
    assert len(host.looked_up) <= 2, "once by itself, once to see that its cache says the same"


@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited")
@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize(
    "execute",
    [
        lambda self, **kwargs: kwargs["data"].append(1),
        lambda self, **kwargs: later(kwargs["data"]),
        lambda self, **kwargs: {}["missing"],
        lambda self: None,
        lambda self, **kwargs: types.SimpleNamespace(__await__=None),
    ],
    ids=["plain", "coroutine", "raises", "refuses", "no_awaitable"],
)
def test_results_and_errors_are_the_hosts_down_to_their_lines(host, kind, execute):
    host.classes["point"] = [extension(execute), extension(execute)]
    original, quick = host.both(kind)
    for _ in range(3):
        bare: list[int] = []
        ours: list[int] = []
        assert outcome(quick, data=ours) == outcome(original, data=bare)
        assert ours == bare


def test_an_awaitable_of_any_kind_is_awaited(host):
    awaited: list[int] = []

    class Own:
        def __await__(self):
            awaited.append(1)
            return iter(())

    host.classes["point"] = [extension(lambda self, **kwargs: Own())]
    run(host.both("async")[1], "point")
    assert awaited == [1]


def test_an_extension_added_when_the_point_was_empty_runs_at_the_next_call(host):
    ran: list[int] = []
    _, quick = host.both("sync")
    for _ in range(3):
        quick("point")
    host.forget()
    host.classes["point"] = [extension(lambda self: ran.append(1))]
    quick("point")
    quick("point")
    assert ran == [1, 1]
    host.forget()
    host.classes.clear()
    quick("point")
    assert ran == [1, 1]


def test_calls_are_logged_from_the_moment_it_is_asked_for(host, monkeypatch):
    _, quick = host.both("sync")
    quick("point")
    assert host.logged == []
    monkeypatch.setenv("EXTENSIONS_LOG", "1")
    quick("point")
    assert host.logged == ["point"]


def test_what_somebody_puts_in_the_place_of_the_hosts_functions_is_used(host):
    seen: list[str] = []
    _, quick = host.both("sync")
    quick("point")
    host.names["_get_extension_classes"] = lambda point, **_: seen.append(f"classes of {point}") or []
    host.names["_log_extension_call"] = lambda point: seen.append(f"log of {point}")
    quick("point")
    assert seen == ["log of point", "classes of point"]


@pytest.mark.parametrize("more", ["    print(extension_point)\n", "    _get_more()\n"])
def test_code_that_asks_for_more_is_left_as_it_is(host, more):
    source = SOURCE.replace("    _log_extension_call(extension_point)\n", more)
    exec(compile(source, "helpers/extension.py", "exec"), host.names)
    original, quick = host.both("sync")
    assert quick is original
