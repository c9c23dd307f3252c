"""The span of a model call: what it says, and what it says only when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Turn
from autoperf.instrumentation.agentzero.tracing.content import Content
from autoperf.telemetry import names
from tests.model_host import USAGE, ask, follow, only, patched, piece
from tests.recording import Recording


@pytest.fixture
def tracing() -> Recording:
    return Recording()


@pytest.fixture
def host(tracing: Recording) -> Iterator[Any]:
    with patched(tracing) as module:
        yield module


def test_a_streamed_answer(host, tracing):
    at_creation: dict[str, Any] = {}

    async def looks(_delta: str, _full: str) -> None:
        at_creation.update(tracing.spans[0].attributes)

    answer = host.Completion([piece("on"), piece("e", model="gpt-x-2026"), piece("", usage=USAGE)])
    assert ask(host, answer, callback=looks) == ("one", "")
    span = only(tracing)
    assert (span.name, span.kind, span.error) == ("chat gpt-x", "client", "")
    assert at_creation == {
        names.OPERATION_NAME: "chat",
        names.PROVIDER_NAME: "openai",
        names.REQUEST_MODEL: "gpt-x",
        names.REQUEST_STREAM: True,
        names.AGENT_NAME: "A1",
        names.CONVERSATION_ID: "chat-1",
        names.MODEL_ROLE: "chat",
    }
    told = {
        names.CHUNKS: 2,
        names.FINISH_REASONS: ["stop"],
        names.RESPONSE_MODEL: "gpt-x-2026",
        names.INPUT_TOKENS: 90,
        names.OUTPUT_TOKENS: 6,
    }
    assert told.items() <= span.attributes.items()
    assert {names.TIME_TO_FIRST_CHUNK, names.TOKENS_PER_SECOND, names.CALLBACK_SECONDS} <= set(
        span.attributes
    )
    assert names.MODEL_REQUESTS not in span.attributes
    assert "chunk_creator" not in vars(answer)


def test_what_it_measured_counts_towards_its_message(host, tracing):
    turn = Turn("A1", "chat-1")
    token = host.probe.turn.set(turn)
    try:
        ask(host, host.Completion([piece("one")]))
        ask(host, host.Completion([piece("two")]))
    finally:
        host.probe.turn.reset(token)
    told = [span.attributes for span in tracing.spans]
    keys = set(names.LAYERS_OF_A_CALL) & set(told[0])
    assert names.CLIENT_SECONDS in keys
    assert turn.layers == pytest.approx({key: sum(one.get(key, 0.0) for one in told) for key in turn.layers})
    assert keys <= set(turn.layers)


def test_no_usage_where_the_provider_sends_none(host, tracing):
    ask(host, host.Completion([piece("one")]))
    found = set(only(tracing).attributes)
    assert not found & {names.INPUT_TOKENS, names.OUTPUT_TOKENS, names.TOKENS_PER_SECOND}
    assert [m[0] for m in tracing.measured] == [names.OPERATION_DURATION, names.FIRST_CHUNK_DURATION]


def test_measurements_have_few_attributes_and_belong_to_the_open_span(host, tracing):
    ask(host, host.Completion([piece("one"), piece("", usage=USAGE)]))
    shared = {
        names.OPERATION_NAME: "chat",
        names.PROVIDER_NAME: "openai",
        names.REQUEST_MODEL: "gpt-x",
    }
    by_name = {
        (name, attributes.get(names.TOKEN_TYPE)): value for name, value, attributes in tracing.measured
    }
    assert by_name[names.TOKEN_USAGE, "input"] == 90
    assert by_name[names.TOKEN_USAGE, "output"] == 6
    assert by_name[names.OPERATION_DURATION, None] >= by_name[names.FIRST_CHUNK_DURATION, None] > 0
    for _, _, attributes in tracing.measured:
        assert {**attributes, **shared} == attributes
        assert set(attributes) <= {*shared, names.TOKEN_TYPE}


def test_no_tokens_are_a_number_too_and_a_failure_is_told_from_an_intervention(host, tracing):
    class InterventionException(Exception):  # noqa: N818 - the name by which it is known
        pass

    async def intervenes(_delta: str, _full: str) -> None:
        raise InterventionException("secret")

    async def fails(_delta: str, _full: str) -> None:
        raise KeyError("secret")

    usage = SimpleNamespace(prompt_tokens=90, completion_tokens=0)
    ask(host, host.Completion([piece("one"), piece("", usage=usage)]))
    assert [value for name, value, _ in tracing.measured if name == names.TOKEN_USAGE] == [90, 0]
    for callback in (intervenes, fails):
        with pytest.raises((InterventionException, KeyError)):
            ask(host, host.Completion([piece("one")]), callback=callback)
    told = [attributes for name, _, attributes in tracing.measured if name == names.OPERATION_DURATION]
    assert [attributes.get(names.ERROR_TYPE) for attributes in told] == [None, None, "KeyError"]


def test_a_stream_that_the_host_stops_reading(host, tracing):
    async def enough(_delta: str, full: str) -> str | None:
        return "enough" if full == "one" else None

    answer = host.Completion([piece("on"), piece("e"), piece(" two"), piece("", usage=USAGE)])
    assert ask(host, answer, callback=enough) == ("enough", "")
    found = only(tracing).attributes
    assert found[names.CHUNKS] == 2
    assert not set(found) & {names.FINISH_REASONS, names.OUTPUT_TOKENS, names.INPUT_TOKENS}
    assert only(tracing).error == ""


def test_a_call_without_an_agent_is_the_turns(host, tracing):
    host.answers.append(host.Completion([piece("one")]))

    async def plugin() -> None:
        host.probe.turn.set(Turn("A7", "chat-7"))
        await host.LiteLLMChatWrapper().unified_call(user_message="hi", response_callback=follow)

    asyncio.run(plugin())
    found = only(tracing).attributes
    assert (found[names.AGENT_NAME], found[names.CONVERSATION_ID]) == ("A7", "chat-7")
    assert names.MODEL_ROLE not in found


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "openai/gpt-x", ("openai", "gpt-x")),
        ("openrouter", "openrouter/anthropic/claude", ("openrouter", "anthropic/claude")),
        ("azure", "azure/mine", ("azure.ai.openai", "mine")),
        ("vertex_ai", "vertex_ai/gemini", ("gcp.vertex_ai", "gemini")),
        ("", "", ("unknown", "unknown")),
    ],
)
def test_provider_and_model_have_the_names_of_the_conventions(host, tracing, provider, model, expected):
    host.LiteLLMChatWrapper.provider, host.LiteLLMChatWrapper.model_name = provider, model
    ask(host, host.Completion([piece("one")]))
    found = only(tracing).attributes
    assert (found[names.PROVIDER_NAME], found[names.REQUEST_MODEL]) == expected


def test_no_content_unless_asked_for(host, tracing):
    ask(host, host.Completion([piece("one")]))
    assert not set(only(tracing).attributes) & names.CONTENT
    assert "hello" not in str(tracing.spans)


def test_content_when_asked_for(host, tracing):
    host.probe.content = Content(on=True)
    host.answers.append(host.Completion([piece("one")]))
    call = host.Agent().model.unified_call("be brief", "hello", response_callback=follow)
    assert asyncio.run(call) == ("one", "")
    found = only(tracing).attributes
    assert found[names.SYSTEM_INSTRUCTIONS] == '[{"type": "text", "content": "be brief"}]'
    assert found[names.INPUT_MESSAGES] == (
        '[{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]'
    )
    assert found[names.OUTPUT_MESSAGES] == (
        '[{"role": "assistant", "parts": [{"type": "text", "content": "one"}], "finish_reason": "stop"}]'
    )
