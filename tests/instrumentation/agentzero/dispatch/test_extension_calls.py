"""Extension calls: all of them, in order, their exceptions passed on; traced where something ran."""

from __future__ import annotations

import asyncio
import functools
import types
from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe, Turn
from autoperf.instrumentation.agentzero.dispatch import extension_calls
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.instrumentation.agentzero.tracing.turn import NEVER_NS
from autoperf.patching.patch import Switch, replacement
from tests.recording import Recording


class InterventionException(Exception):  # noqa: N818
    """Named as the host's."""


@pytest.fixture
def tracing() -> Recording:
    return Recording()


@pytest.fixture
def probe(tracing: Recording) -> Probe:
    made = Probe(tracing)
    made.turn.set(Turn("A0", "chat"))
    return made


@pytest.fixture
def code() -> CodeCache:
    return CodeCache(300.0)


class Old:
    """A host that loads the classes of a point at every call (v0.8)."""

    def __init__(self, probe: Probe, code: CodeCache) -> None:
        self.ran: list[tuple[str, Any]] = []
        self.points: dict[str, list[Any]] = {}
        self.code = code
        self.reads = 0
        self.load = extension_calls.noting(probe, code, self._load)

    def _load(self, folder: str) -> list[Any]:
        for _ in range(self.reads):
            self.code.count_read()
        return list(self.points.get(folder, []))

    async def call_extensions(self, folder: str, **kwargs: Any) -> Any:
        for run in self.load(folder):
            await run(self.ran, **kwargs)


def appending(name: str) -> Any:
    async def run(ran: list[Any], **kwargs: Any) -> None:
        await asyncio.sleep(0)
        ran.append((name, kwargs))

    return run


def raising(error: BaseException) -> Any:
    async def run(ran: list[Any], **kwargs: Any) -> None:
        raise error

    return run


@pytest.fixture
def old(probe, code) -> Old:
    return Old(probe, code)


def calling(old: Old, probe: Probe, switch: Switch | None = None) -> Any:
    function = types.FunctionType(Old.call_extensions.__code__, globals(), "call_extensions")
    wrapped = replacement(function, extension_calls.of_agent(probe), switch or Switch())
    return lambda point, **kwargs: asyncio.run(wrapped(old, point, **kwargs))


def points(probe: Probe) -> dict[str, tuple[int, int]]:
    return {row["name"]: (row["count"], row["errors"]) for row in probe.points.as_rows()}


def test_every_extension_runs_in_order_with_its_arguments(old, probe):
    old.points["start"] = [appending("a"), appending("b")]
    call = calling(old, probe)
    call("start", n=1)
    call("start", n=2)
    assert old.ran == [("a", {"n": 1}), ("b", {"n": 1}), ("a", {"n": 2}), ("b", {"n": 2})]
    assert points(probe) == {"start": (2, 0)}


def test_empty_points_are_counted_as_lookups_only(old, probe, tracing):
    call = calling(old, probe)
    for _ in range(3):
        call("nothing")
    assert points(probe) == {}
    assert probe.extension_lookups.as_row() == {"lookups": 3, "hits": 3, "misses": 0, "hit_rate": 1.0}
    assert (tracing.recorded, set(tracing.from_ns)) == ([], {1_000_000}), "a span only if it took that long"


def test_a_call_that_had_to_read_is_a_miss(old, probe):
    old.points["start"] = [appending("a")]
    call = calling(old, probe)
    old.reads = 2
    call("start")
    old.reads = 0
    call("start")
    assert probe.extension_lookups.as_row() == {"lookups": 2, "hits": 1, "misses": 1, "hit_rate": 0.5}


def test_without_a_loader_of_ours_nobody_knows_what_was_read(old, probe):
    probe.extension_lookups.measured = False
    old.load = old._load
    old.points["start"] = [appending("a")]
    calling(old, probe)("start")
    assert probe.extension_lookups.as_row() == {"lookups": 1, "hits": None, "misses": None, "hit_rate": None}


def test_what_ran_is_timed_where_no_loader_of_ours_told_of_it(old, probe):
    made = replacement(lambda _self: None, extension_calls.instances(probe), Switch())

    async def run(ran: list[Any]) -> None:
        made(old)

    old.points["start"] = [run]
    old.load = old._load
    calling(old, probe)("start")
    calling(old, probe)("nothing")
    assert points(probe) == {"start": (1, 0)}


@pytest.mark.parametrize(("error", "errors"), [(ValueError("x"), 1), (InterventionException("x"), 0)])
def test_exceptions_pass_and_end_the_point_as_they_do_bare(old, probe, error, errors):
    old.points["start"] = [appending("a"), raising(error), appending("never")]
    with pytest.raises(type(error)) as caught:
        calling(old, probe)("start")
    assert caught.value is error
    assert [name for name, _ in old.ran] == ["a"]
    assert points(probe) == {"start": (1, errors)}


def test_a_point_that_runs_something_gets_a_span_when_it_takes_a_millisecond(old, probe, tracing):
    old.points["start"] = [appending("a"), lambda ran, **kwargs: asyncio.sleep(0.002)]
    call = calling(old, probe)
    call("start")
    assert [name for name, _ in tracing.opened] == ["extensions start"]
    assert (tracing.from_ns, tracing.recorded) == ([1_000_000], [])


def test_outside_of_a_turn_only_what_fails_is_a_trace(old, probe, tracing):
    probe.turn.set(None)
    old.points["job_loop"] = [lambda ran, **kwargs: asyncio.sleep(0.002)]
    call = calling(old, probe)
    call("job_loop")
    call("job_loop")
    assert (tracing.recorded, set(tracing.from_ns)) == ([], {NEVER_NS})
    assert points(probe) == {"job_loop": (2, 0)}


@pytest.mark.parametrize(
    "point", ["response_stream", "response_stream_chunk", "_functions/agent/Agent/get_tool/start"]
)
def test_points_called_for_every_token_are_counted_without_spans(old, probe, tracing, point):
    old.points[point] = [appending("a")]
    call = calling(old, probe)
    for _ in range(5):
        call(point)
    assert points(probe) == {point: (5, 0)}
    assert tracing.opened == tracing.recorded == []
    old.points[point] = [raising(ValueError())]
    with pytest.raises(ValueError, match=r"^$"):
        call(point)
    assert [attributes["error.type"] for _, attributes in tracing.recorded] == ["ValueError"]


def test_switched_off_it_counts_nothing(old, probe):
    switch = Switch()
    switch.on = False
    old.points["start"] = [appending("a")]
    calling(old, probe, switch)("start")
    assert len(old.ran) == 1
    assert points(probe) == {}


def test_calls_at_once_are_told_apart(old, probe):
    old.points["start"] = [appending("a")]
    function = types.FunctionType(Old.call_extensions.__code__, globals(), "call_extensions")
    wrapped = replacement(function, extension_calls.of_agent(probe), Switch())

    async def both() -> None:
        await asyncio.gather(*(wrapped(old, point) for point in ("start", "empty") * 5))

    asyncio.run(both())
    assert points(probe) == {"start": (5, 0)}


@pytest.mark.parametrize(
    "build", [extension_calls.of_agent, extension_calls.of_module, extension_calls.folder_classes]
)
def test_another_signature_is_refused(probe, build):
    async def call_extensions(something, else_): ...

    with pytest.raises(AutoperfError):
        build(probe)(call_extensions, Switch())


class New:
    """Globals of a host with its own cache (v0.9.9 on)."""

    def __init__(self) -> None:
        self.area: dict[Any, Any] = {}
        self.ran: list[str] = []
        self.calls = 0
        cache = types.SimpleNamespace(_cache={"area": self.area}, _enabled_areas={}, _enabled_global=True)

        def look_up(point: str, agent: Any = None, **given: Any) -> list[Any]:
            self.calls += "data" in given  # else it is we who ask
            entry = self.area.setdefault(
                ("none", "none", point), types.SimpleNamespace(value=[], timestamp=0.0)
            )
            return entry.value

        self.globals = {
            "cache": cache,
            "_get_extension_classes": look_up,
            "_CLASSES_CACHE_AREA": "area",
            "host": self,
        }
        source = """
async def call_extensions_async(extension_point, agent=None, **kwargs):
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        await cls.execute(**kwargs)

def call_extensions_sync(extension_point, agent=None, **kwargs):
    for cls in _get_extension_classes(extension_point, agent=agent, **kwargs):
        cls.execute(**kwargs)
"""
        exec(source, self.globals)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_known_empty_points_return_at_once_only_when_asked_to(probe, kind, fast):
    host = New()
    cached = extension_calls.Cached(probe, probe.extension_classes, fast=fast)
    build = cached.asynchronous if kind == "async" else cached.synchronous
    wrapped = replacement(host.globals[f"call_extensions_{kind}"], build, Switch())

    def call() -> Any:
        result = wrapped("point", None, data=1)
        return asyncio.run(result) if kind == "async" else result

    assert [call() for _ in range(5)] == [None] * 5
    assert host.calls == (1 if fast else 5)
    assert probe.extension_lookups.as_row()["lookups"] == 5
    host.area.clear()
    call()
    assert host.calls == (2 if fast else 6), "what the host forgot, it looks up itself"
    told = appending("a") if kind == "async" else (lambda ran, **kwargs: ran.append(("a", kwargs)))
    extension = types.SimpleNamespace(execute=functools.partial(told, host.ran))
    host.area["none", "none", "point"].value = [extension]
    call()
    assert host.ran == [("a", {"data": 1})]
    assert points(probe)["point"][0] >= 1
