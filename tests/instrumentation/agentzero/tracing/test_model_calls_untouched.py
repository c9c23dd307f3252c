"""Calls of the model go as without us: what the host is given, gets back and raises, and in what order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.tracing import model_calls
from autoperf.patching.patch import Switch, replacement
from autoperf.patching.tracebacks import without_our_frames
from autoperf.telemetry import names
from tests.model_host import ask, follow, only, patched, piece, whole
from tests.recording import Recording


@pytest.fixture
def tracing() -> Recording:
    return Recording()


@pytest.fixture
def host(tracing: Recording) -> Iterator[Any]:
    with patched(tracing) as module:
        yield module


def test_without_callbacks_the_host_does_not_stream(host, tracing):
    host.answers.append(whole("one"))
    assert asyncio.run(host.Agent().call_utility_model("be brief", "hello")) == "one"
    assert host.callbacks_seen == [(None, None, None, None)]
    assert host.requests[0][1] is False
    found = only(tracing).attributes
    expected = {names.REQUEST_STREAM: False, names.MODEL_ROLE: "utility", names.OUTPUT_TOKENS: 6}
    assert expected.items() <= found.items()
    assert not set(found) & {names.CHUNKS, names.TIME_TO_FIRST_CHUNK}


def test_only_callbacks_of_the_stream_are_timed_wherever_they_stand(host, tracing):
    async def limiter(*_: Any) -> bool:
        return False

    host.answers.append(host.Completion([piece("one")]))
    asyncio.run(host.LiteLLMChatWrapper().unified_call("", "hi", None, follow, None, None, limiter))
    response, reasoning, tokens, limited = host.callbacks_seen[0]
    assert response is not follow
    assert (reasoning, tokens, limited) == (None, None, limiter)
    assert names.CALLBACK_SECONDS in only(tracing).attributes


def test_requests_made_again_are_one_span(host, tracing):
    ask(host, ConnectionError(), ConnectionError(), host.Completion([piece("one")]))
    assert only(tracing).attributes[names.MODEL_REQUESTS] == 3
    assert only(tracing).error == ""


def test_no_callback_stays_none(host, tracing):
    assert ask(host, whole("one"), callback=None) == ("one", "")
    assert host.callbacks_seen == [(None, None, None, None)]


def test_whether_it_is_streamed_is_what_the_host_asked_for(host, tracing):
    host.answers.append(whole("one"))
    asyncio.run(host.LiteLLMChatWrapper().unified_call(user_message="hi", tokens_callback=follow))
    assert host.requests[0][1] is False
    assert only(tracing).attributes[names.REQUEST_STREAM] is False


def test_on_whose_behalf_it_was_is_forgotten_when_it_is_over(host, tracing):
    host.answers += [host.Completion([piece("one")]), host.Completion([piece("two")])]

    async def both() -> None:
        await host.Agent().call_chat_model([], response_callback=follow)
        assert host.probe.caller.get() is None
        assert host.probe.stream.get() is None
        await host.LiteLLMChatWrapper().unified_call(user_message="hi", response_callback=follow)

    asyncio.run(both())
    first, second = tracing.spans
    assert names.MODEL_ROLE in first.attributes
    assert names.MODEL_ROLE not in second.attributes


@pytest.mark.parametrize("where", ["request", "callback"])
def test_what_fails_is_the_hosts_and_so_is_its_trace(host, tracing, where):
    error = ValueError("private")

    async def fails(_delta: str, _full: str) -> None:
        raise error

    answers = [error] if where == "request" else [host.Completion([piece("one")])]
    frames = []
    for instrumented in (True, False):
        if not instrumented:
            host.patches.stop()
        error.__traceback__ = None
        answers = [error] if where == "request" else [host.Completion([piece("one")])]
        with pytest.raises(ValueError, match="private") as caught:
            ask(host, *answers, callback=follow if where == "request" else fails)
        assert caught.value is error
        without_our_frames(error)
        trace, found = error.__traceback__, []
        while trace is not None:
            found.append((trace.tb_frame.f_code.co_filename, trace.tb_frame.f_code.co_name))
            trace = trace.tb_next
        frames.append(found)
    assert frames[0] == frames[1]
    assert only(tracing).error == "ValueError"
    assert "private" not in str(tracing.spans)
    name, _, attributes = tracing.measured[0]
    assert (name, attributes[names.ERROR_TYPE]) == (names.OPERATION_DURATION, "ValueError")


def test_an_intervention_is_no_error(host, tracing):
    async def intervenes(_delta: str, _full: str) -> None:
        raise host.InterventionException

    with pytest.raises(host.InterventionException):
        ask(host, host.Completion([piece("one"), piece("two")]), callback=intervenes)
    assert only(tracing).attributes[names.CHUNKS] == 1
    assert names.ERROR_TYPE not in tracing.measured[0][2]


def test_a_call_in_the_middle_of_another_counts_for_itself(host, tracing):
    async def asks(_delta: str, _full: str) -> None:
        if len(tracing.spans) == 1:
            await host.Agent().call_utility_model("be brief", "what is this")

    host.answers.append(host.Completion([piece("on"), piece("e")]))
    ask(host, whole("a name"), callback=asks)
    outer, inner = tracing.spans
    assert outer.attributes[names.CHUNKS] == 2
    assert names.OUTPUT_TOKENS not in outer.attributes
    assert (outer.attributes[names.MODEL_ROLE], inner.attributes[names.MODEL_ROLE]) == ("chat", "utility")


def test_without_tracing_nothing_is_touched(host):
    host.probe.tracing = None
    ask(host, host.Completion([piece("one")]))
    assert host.callbacks_seen[0][0] is follow


def test_another_signature_of_a_seam_per_chunk_is_left_alone():
    with pytest.raises(AutoperfError):
        model_calls.chunk(Probe(None))(lambda chunk, more: None, Switch())
    with pytest.raises(AutoperfError):
        model_calls.event(Probe(None))(lambda event: None, Switch())


def test_of_the_events_of_the_responses_api_those_that_add_text_are_chunks(host, tracing):
    seen: list[Any] = []
    parse = replacement(
        lambda self, event: seen.append((self, event)), model_calls.event(host.probe), Switch()
    )
    kinds = ["response.created", "response.output_text.delta", "response.function_call_arguments.delta"]
    events = [SimpleNamespace(type=kind) for kind in [*kinds, "response.completed"]] + [SimpleNamespace(), {}]

    async def reads(_delta: str, _full: str) -> None:
        for event in events:
            parse("parser", event)

    ask(host, host.Completion([piece("one")]), callback=reads)
    assert only(tracing).attributes[names.CHUNKS] == 1 + 2
    assert seen == [("parser", event) for event in events]
