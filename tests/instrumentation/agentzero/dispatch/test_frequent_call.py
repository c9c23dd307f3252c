"""Calls of points that run for every chunk: which extension took how long, of which stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe, Stream, Turn
from autoperf.instrumentation.agentzero.dispatch import extension_calls, frequent_call
from autoperf.instrumentation.agentzero.dispatch.extension_spans import Points
from autoperf.instrumentation.agentzero.dispatch.frequent_call import FrequentCall
from autoperf.instrumentation.agentzero.tracing import stream_stats
from autoperf.patching.patch import Switch, replacement
from autoperf.telemetry import names
from tests.recording import Recording

CHUNK = "response_stream_chunk"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Log: ...


class Live: ...


class Inner: ...


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (frequent_call, stream_stats):
        monkeypatch.setattr(module, "_clock", clock)
    return clock


@pytest.fixture
def probe() -> Probe:
    made = Probe(Recording())
    made.turn.set(Turn("A0", "chat"))
    return made


@pytest.fixture
def begins(probe: Probe) -> Any:
    """What `Extension.__init__` tells, for an extension that is made."""
    return extension_calls.instances(probe)(lambda self: None, Switch()).before


def during(stream: Stream, callback: Any) -> dict[str, Any]:
    """What ``stream`` says after a callback of it."""

    async def called() -> None:
        callback()

    asyncio.run(stream.timed(called)())
    return stream.attributes()


def test_each_extension_takes_until_the_next_has_begun(clock, probe, begins):
    stream = Stream()
    probe.stream.set(stream)

    def callback() -> None:
        call = Points(probe).begin(CHUNK, [Log, Live])
        assert isinstance(call, FrequentCall)
        assert stream.current is call
        assert probe.point.get() is None, "no context variable is set for it"
        clock.now += 1  # before the first
        begins(Log())
        clock.now += 2
        begins(Live())
        clock.now += 4
        call.end(None)
        assert stream.current is None

    found = during(stream, callback)
    assert (found[names.CALLBACK_EXTENSION], found[names.CALLBACK_EXTENSION_SECONDS]) == ("Live", 4)
    assert stream._extensions == {(CHUNK, "Log"): 2, (CHUNK, "Live"): 4}
    row = probe.points.as_rows()[0]
    assert (row["name"], row["count"], row["total_ms"], row["errors"]) == (CHUNK, 1, 7000, 0)


def test_what_an_extension_makes_for_itself_is_its_own_time(clock, probe, begins):
    stream = Stream()
    probe.stream.set(stream)

    def callback() -> None:
        call = Points(probe).begin(CHUNK, [Log])
        begins(Log())
        clock.now += 1
        begins(Live())
        clock.now += 2
        call.end(None)

    during(stream, callback)
    assert stream._extensions == {(CHUNK, "Log"): 3}


def test_a_point_called_by_an_extension_has_its_own_extensions(clock, probe, begins):
    stream = Stream()
    probe.stream.set(stream)
    of_points = Points(probe)

    def callback() -> None:
        outer = of_points.begin(CHUNK, [Log])
        begins(Log())
        for name in ("hist_add_before", "response_stream"):
            inner = of_points.begin(name, [Inner])
            assert stream.current is outer
            begins(Inner())
            assert [one for one, _ in inner._begun] == [Inner]
            inner.end(None)
        clock.now += 1
        outer.end(None)
        assert [one for one, _ in outer._begun] == [Log]

    during(stream, callback)
    assert probe.point.get() is None


@pytest.mark.parametrize("classes", [None, [Log]])
def test_without_a_stream_or_known_classes_it_is_known_by_its_context(clock, probe, begins, classes):
    stream = Stream()
    if classes is None:
        probe.stream.set(stream)
    call = Points(probe).begin(CHUNK, classes)
    assert (probe.point.get(), stream.current) == (call, None)
    if classes is None:
        call.found([Log], 1)
    begins(Log())
    call.end(None)
    assert probe.point.get() is None
    assert probe.points.as_rows()[0]["count"] == 1
    assert probe.extension_lookups.misses == (classes is None)


def test_one_that_fails_is_over_and_counts(clock, probe, begins):
    stream = Stream()
    probe.stream.set(stream)
    call = Points(probe).begin(CHUNK, [Log])
    begins(Log())
    call.end(ValueError())
    assert stream.current is None
    assert not call.begins(Log), "a task that the extension left behind makes another"
    assert probe.points.as_rows()[0]["errors"] == 1


def test_two_streams_at_once_are_told_apart(probe):
    """Two chats whose extensions wait for each other, through the patches themselves."""
    ran: list[str] = []

    class Extension:
        def __init__(self) -> None: ...

        async def execute(self) -> None:
            ran.append(type(self).__name__)
            await asyncio.sleep(0)

    class First(Extension): ...

    class Second(Extension): ...

    Extension.__init__ = replacement(  # type: ignore[method-assign]
        Extension.__init__, extension_calls.instances(probe), Switch()
    )
    of_points = Points(probe)

    async def chat(kinds: list[type]) -> Stream:
        stream = Stream()
        probe.stream.set(stream)

        async def chunk() -> None:
            call = of_points.begin(CHUNK, kinds)
            for kind in kinds:
                await kind().execute()
            call.end(None)

        for _ in range(3):
            await stream.timed(chunk)()
        return stream

    async def both() -> list[Stream]:
        return await asyncio.gather(chat([First]), chat([Second, First]))

    first, second = asyncio.run(both())
    assert ran.count("First") == 6
    assert set(first._extensions) == {(CHUNK, "First")}
    assert set(second._extensions) == {(CHUNK, "First"), (CHUNK, "Second")}


def test_a_task_that_an_extension_left_behind_takes_nothing_of_the_chunks(probe, begins):
    """It is inside a frequent point of its own while the stream goes on, in a copy of the context."""
    stream = Stream()
    probe.stream.set(stream)
    of_points = Points(probe)

    async def left_behind(begun: asyncio.Event, goes_on: asyncio.Event) -> Any:
        call = of_points.begin(CHUNK, [Log])
        begins(Log())
        begun.set()
        await goes_on.wait()
        call.end(None)
        return call

    async def both() -> tuple[Any, list[int]]:
        begun, goes_on = asyncio.Event(), asyncio.Event()
        task = asyncio.ensure_future(left_behind(begun, goes_on))
        await begun.wait()
        counts = []
        for _ in range(3):
            call = of_points.begin(CHUNK, [Log])
            begins(Log())
            call.end(None)
            counts.append(len(call._begun))
        goes_on.set()
        return await task, counts

    theirs, counts = asyncio.run(both())
    assert counts == [1, 1, 1]
    assert len(theirs._begun) == 1
