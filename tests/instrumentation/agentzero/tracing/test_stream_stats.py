"""The counters of one streamed answer, by a clock of our own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.dispatch.extension_spans import Looking
from autoperf.instrumentation.agentzero.tracing import call_time, stream_stats
from autoperf.instrumentation.agentzero.tracing.stream_stats import Stream
from autoperf.instrumentation.agentzero.tracing.usage import Usage
from autoperf.patching.patch import Switch, replacement
from autoperf.telemetry import names


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stream_stats, "_clock", clock)
    monkeypatch.setattr(call_time, "_clock", clock)
    return clock


def arrive(stream: Stream, clock: Clock, *moments: float) -> None:
    for moment in moments:
        clock.now = moment
        stream.arrived()


def ran(*spent: tuple[str, float]) -> tuple[list[tuple[type, float]], float]:
    """Extensions that ran one after the other, each with its seconds, as `Stream.note` is told of them."""
    begun, at = [], 0.0
    for name, seconds in spent:
        begun.append((type(name, (), {}), at))
        at += seconds
    return begun, at


def taking(stream: Stream, clock: Clock, seconds: float, *notes: tuple[str, str, float]) -> None:
    async def callback() -> None:
        for point, extension, taken in notes:
            stream.note(point, *ran((extension, taken)))
        clock.now += seconds

    asyncio.run(stream.timed(callback)())


def test_chunks_and_the_time_to_the_first_one(clock):
    stream = Stream()
    arrive(stream, clock, 100.5, 101.0, 103.0)
    found = stream.attributes()
    assert found[names.CHUNKS] == 3
    assert found[names.TIME_TO_FIRST_CHUNK] == 0.5
    assert found[names.TOKENS_PER_SECOND] is None
    assert names.CALLBACK_SECONDS not in found


def test_the_time_to_the_first_chunk_is_that_of_the_request_that_was_answered(clock):
    stream = Stream()
    clock.now = 105.0
    stream.requested(streamed=True)
    arrive(stream, clock, 106.0)
    clock.now = 107.0
    stream.requested(streamed=True)
    arrive(stream, clock, 107.25, 108.0)
    assert stream.requests == 2
    assert stream.attributes()[names.CHUNKS] == 2
    assert stream.attributes()[names.TIME_TO_FIRST_CHUNK] == 0.25


def test_an_answer_in_one_piece_is_no_stream(clock):
    stream = Stream()
    stream.requested(streamed=False)
    arrive(stream, clock, 101.0)
    found = {key for key, value in stream.attributes().items() if value is not None}
    assert found == set(names.LAYERS_OF_A_CALL) - {names.PAUSED_SECONDS}
    assert stream.seconds_to_first_chunk() is None


def test_a_stream_that_never_began(clock):
    stream = Stream()
    assert stream.attributes()[names.CHUNKS] == 0
    assert stream.attributes()[names.TIME_TO_FIRST_CHUNK] is None


@pytest.mark.parametrize(
    ("moments", "tokens", "expected"),
    [
        ((101.0, 103.0), 50, 25.0),
        ((101.0,), 50, None),
        ((101.0, 101.0), 50, None),
        ((101.0, 103.0), None, None),
    ],
)
def test_tokens_per_second_need_the_providers_count_and_two_chunks(clock, moments, tokens, expected):
    stream = Stream()
    arrive(stream, clock, *moments)
    stream.found.usage = Usage(output_tokens=tokens)
    assert stream.attributes()[names.TOKENS_PER_SECOND] == expected


def test_the_slowest_callback_is_named_by_the_extension_that_took_longest_in_it(clock):
    stream = Stream()
    taking(stream, clock, 1.0, ("response_stream", "Quick", 0.1), ("response_stream_chunk", "Slow", 0.6))
    taking(stream, clock, 3.0, ("response_stream", "Log", 2.0), ("reasoning_stream", "Live", 0.5))
    taking(stream, clock, 2.0, ("response_stream", "Other", 1.9))
    found = stream.attributes()
    assert found[names.CALLBACK_SECONDS] == 6.0
    assert found[names.CALLBACK_SLOWEST] == 3.0
    assert found[names.CALLBACK_SLOWEST_POINT] == "response_stream"
    assert found[names.CALLBACK_SLOWEST_EXTENSION] == "Log"


def test_extensions_outside_a_callback_or_in_an_earlier_one_are_not_blamed(clock):
    stream = Stream()
    stream.note("before_main_llm_call", *ran(("Before", 9.0)))
    taking(stream, clock, 1.0, ("response_stream", "First", 0.9))
    stream.note("util_model_call_after", *ran(("Between", 9.0)))
    taking(stream, clock, 2.0)
    found = stream.attributes()
    assert found[names.CALLBACK_SLOWEST] == 2.0
    assert found[names.CALLBACK_SLOWEST_POINT] is None
    assert found[names.CALLBACK_SLOWEST_EXTENSION] is None


def test_a_pause_is_no_time_of_the_callback_it_holds_up(clock):
    stream = Stream()

    async def paused() -> None:
        clock.now += 100.0
        stream.waited(99.0)

    stream.waited(50.0)  # outside of any callback
    asyncio.run(stream.timed(paused)())
    taking(stream, clock, 3.0, ("response_stream", "Log", 2.0))
    found = stream.attributes()
    assert found[names.CALLBACK_SECONDS] == 4.0
    assert found[names.CALLBACK_SLOWEST] == 3.0
    assert found[names.CALLBACK_SLOWEST_EXTENSION] == "Log"


def test_what_a_callback_returns_and_raises_passes_and_its_time_counts(clock):
    stream = Stream()
    error = ValueError("host")

    async def answers(*args: Any, **kwargs: Any) -> Any:
        clock.now += 1.0
        return args, kwargs

    async def fails() -> None:
        clock.now += 2.0
        raise error

    assert asyncio.run(stream.timed(answers)("a", "b", more=1)) == (("a", "b"), {"more": 1})
    with pytest.raises(ValueError, match="host") as caught:
        asyncio.run(stream.timed(fails)())
    assert caught.value is error
    assert stream.callback_seconds == 3.0
    stream.note("later", *ran(("Later", 5.0)))
    taking(stream, clock, 4.0)
    assert stream.attributes()[names.CALLBACK_SLOWEST_EXTENSION] is None, "the failed one is over"


class ClientStream:
    """As litellm's: raw chunks go through `chunk_creator`, which may drop them."""

    received_finish_reason = None

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def chunk_creator(self, chunk: Any) -> Any:
        return None if getattr(chunk, "usage", None) else ("made", chunk)


def test_usage_that_the_client_drops_is_seen_and_the_client_is_left_as_it_was(clock):
    stream, client = Stream(), ClientStream()
    before = dict(vars(client))
    stream.requested(streamed=True)
    stream.follow(client)
    usage = SimpleNamespace(prompt_tokens=7, completion_tokens=3)
    text = SimpleNamespace(model="m-2026")
    assert client.chunk_creator(chunk=text) == ("made", text)
    assert client.chunk_creator(SimpleNamespace(model="x", usage=usage)) is None
    found = stream.finished("openai")
    assert (found.usage.input_tokens, found.usage.output_tokens, found.model) == (7, 3, "m-2026")
    assert vars(client) == before
    assert stream.answer is None, "nothing of ours keeps the stream alive"
    assert stream.finished("openai") is found


def test_a_second_request_forgets_the_first_answer(clock):
    stream, first, second = Stream(), ClientStream(), ClientStream()
    stream.requested(streamed=True)
    stream.follow(first)
    first.chunk_creator(SimpleNamespace(model="one", usage=SimpleNamespace(prompt_tokens=7)))
    stream.requested(streamed=True)
    assert "chunk_creator" not in vars(first)
    stream.follow(second)
    found = stream.finished("openai")
    assert (found.usage, found.model) == (Usage(), "")


def test_langchain_chunks_add_up(clock):
    stream = Stream()
    for usage, told in [
        ({"input_tokens": 10, "output_tokens": 0, "input_token_details": {"cache_read": 4}}, {}),
        (None, {}),
        ({"input_tokens": 0, "output_tokens": 5}, {"finish_reason": "stop", "model_name": "m-2026"}),
    ]:
        stream.take(SimpleNamespace(usage_metadata=usage, response_metadata=told))
    stream.take("text alone")
    found = stream.finished("openai")
    assert found.usage == Usage(10, 5, 4, None)
    assert (found.finish_reason, found.model) == ("stop", "m-2026")


def test_a_call_says_what_it_waited_for_and_what_ran(clock, monkeypatch):
    monkeypatch.setattr(call_time, "_cpu", lambda: 0.0)
    stream = Stream()
    clock.now += 1  # the host's own, before it asks
    stream.requested(streamed=True)

    async def callback() -> None:
        clock.now += 4
        stream.note("response_stream", *ran(("Log", 1.0), ("Live", 2.0)))
        stream.note("response_stream", *ran(("Log", 1.5)))

    async def call() -> None:
        await asyncio.sleep(0)
        clock.now += 8
        await stream.timed(callback)()

    async def provider() -> None:
        clock.now += 16

    async def both() -> None:
        other = asyncio.ensure_future(provider())
        await call_time.timed(call(), stream.time)
        await other

    asyncio.run(both())
    stream.time.worked(stream.time.phase)
    found = stream.attributes()
    assert found[names.PROVIDER_SECONDS] == 16
    assert found[names.FRAMEWORK_SECONDS] == 5, "what the host did before it asked, and its callback"
    assert found[names.PAUSED_SECONDS] is None
    assert (found[names.CALLBACK_SECONDS], found[names.CLIENT_SECONDS]) == (4, 8)
    assert (found[names.CALLBACK_EXTENSION], found[names.CALLBACK_POINT]) == ("Log", "response_stream")
    assert found[names.CALLBACK_EXTENSION_SECONDS] == 2.5, "in all, where the slowest single one was another"
    assert found[names.CALLBACK_FUNCTION] == "Log.execute", "the callback had nothing to itself"
    assert found[names.CALLBACK_FUNCTION_SECONDS] == 2.5


def test_a_callback_counts_as_a_function_without_its_extensions(clock):
    stream = Stream()

    async def callback() -> None:
        clock.now += 4
        stream.note("response_stream", *ran(("Log", 1.0)))

    async def quick() -> None:
        clock.now += 1

    asyncio.run(stream.timed(callback)())
    asyncio.run(stream.timed(quick)())
    found = stream.attributes()
    assert found[names.CALLBACK_FUNCTION].endswith("callback")
    assert (found[names.CALLBACK_FUNCTION_SECONDS], found[names.CALLBACK_SECONDS]) == (3, 5)
    assert found[names.CALLBACK_EXTENSION_SECONDS] == 1


def test_a_function_that_a_callback_calls_is_named_where_it_takes_most(clock):
    probe = Probe(None)
    stream = Stream()

    class Parser:
        def parse(self, text: str) -> None:
            clock.now += 5

    parse = replacement(Parser.parse, call_time.below(probe), Switch())

    async def callback() -> None:
        parse(Parser(), "in it")
        clock.now += 1
        stream.note("response_stream", *ran(("Log", 1.0)))

    async def in_an_extension() -> None:
        token = probe.point.set(point)
        parse(Parser(), "of an extension, which is named")
        probe.point.reset(token)
        stream.note("response_stream", *ran(("Log", 5.0)))

    point = Looking(probe)
    probe.point.set(None)
    probe.stream.set(stream)
    parse(Parser(), "beside the stream")
    asyncio.run(stream.timed(callback)())
    asyncio.run(stream.timed(callback)())
    asyncio.run(stream.timed(in_an_extension)())
    found = stream.attributes()
    assert found[names.CALLBACK_FUNCTION].endswith("Parser.parse")
    assert found[names.CALLBACK_FUNCTION_SECONDS] == 10
    assert found[names.CALLBACK_EXTENSION_SECONDS] == 7
    assert found[names.CALLBACK_SECONDS] == 17
    assert [seconds for name, seconds in stream._functions.items() if name.endswith(".callback")] == [0]


def test_what_waits_between_two_requests_is_no_waiting_for_the_provider(clock, monkeypatch):
    monkeypatch.setattr(call_time, "_cpu", lambda: clock.now / 2)
    stream = Stream()
    stream.requested(streamed=True)
    clock.now += 2
    stream.refused()
    clock.now += 4
    stream.time.worked(call_time.HOST)
    clock.now += 8
    stream.time.waited()
    stream.requested(streamed=True)
    clock.now += 16
    stream.time.worked(call_time.CLIENT)
    found = stream.attributes()
    assert (found[names.FRAMEWORK_SECONDS], found[names.PAUSED_SECONDS]) == (4, 8)
    assert (found[names.CLIENT_SECONDS], found[names.PROVIDER_SECONDS]) == (18, 0)
    assert (found[names.FRAMEWORK_CPU], found[names.CLIENT_CPU]) == (2, 9)


@pytest.mark.parametrize(("alone", "client"), [(True, 5.0), (False, 2.0)])
def test_what_the_loop_did_meanwhile_is_the_clients_only_where_no_other_call_ran(clock, alone, client):
    stream = Stream()
    stream.requests = 1
    stream.time.active[call_time.CLIENT] = 2.0
    stream.time.apart[call_time.CLIENT], stream.time.apart_cpu[call_time.CLIENT] = 10.0, 3.0
    found = stream.attributes(alone=alone)
    assert (found[names.PROVIDER_SECONDS], found[names.CLIENT_SECONDS]) == (7.0, client)


def test_after_a_refused_request_the_host_waits_and_not_for_the_provider(clock):
    stream = Stream()
    stream.requested(streamed=True)
    clock.now += 2
    stream.refused()
    stream.time.apart[stream.time.phase] += 30.0  # its pause before it asks again
    stream.requested(streamed=True)
    found = stream.attributes()
    assert (found[names.PROVIDER_SECONDS], found[names.CLIENT_SECONDS]) == (0.0, 2.0)


def test_without_a_request_that_is_seen_all_but_the_callbacks_is_the_clients(clock):
    stream = Stream()
    clock.now += 3
    taking(stream, clock, 5.0)
    assert stream.attributes()[names.CLIENT_SECONDS] == 3.0


def test_numbers_that_are_not_whole_are_not_told(clock):
    stream = Stream()
    stream.time.lost = True
    assert names.CLIENT_SECONDS not in stream.attributes()
