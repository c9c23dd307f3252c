"""Memory searches and history compression as spans: what is counted, and what is never told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.context import Probe, Turn
from autoperf.instrumentation.agentzero.tracing import memory
from autoperf.telemetry import names
from tests.recording import Recording

QUERY = "where is the treasure"


@pytest.fixture
def tracing() -> Recording:
    return Recording()


@pytest.fixture
def probe(tracing: Recording) -> Probe:
    return Probe(tracing)


def search(probe: Probe, result: Any) -> Any:
    async def found(query: str, limit: int, threshold: float) -> Any:
        assert (query, limit, threshold) == (QUERY, 3, 0.5)
        if isinstance(result, Exception):
            raise result
        return result

    return asyncio.run(memory.recall(probe)(found, None, (QUERY,), {"limit": 3, "threshold": 0.5}))


@pytest.mark.parametrize("result", [[], ["a", "b"], [("a", 0.9)]])
def test_a_search_tells_how_many_it_found_and_nothing_else(probe, tracing, result):
    probe.turn.set(Turn("A0", "chat"))
    assert search(probe, result) is result
    expected = {names.MEMORY_RESULTS: len(result), names.AGENT_NAME: "A0", names.CONVERSATION_ID: "chat"}
    assert tracing.opened == [(names.MEMORY_RECALL, expected)]


@pytest.mark.parametrize("result", [None, "text", 7])
def test_a_result_of_another_shape_has_no_count(probe, tracing, result):
    assert search(probe, result) is result
    assert tracing.opened == [(names.MEMORY_RECALL, {})]


def test_a_search_that_fails_passes(probe, tracing):
    error = LookupError("gone")
    with pytest.raises(LookupError) as caught:
        search(probe, error)
    assert caught.value is error
    assert tracing.order[-1] == f"!{names.MEMORY_RECALL} LookupError"


@pytest.mark.parametrize("compressed", [True, False])
def test_compression_is_a_span_where_something_was_compressed_or_it_took_long(tracing, compressed):
    history = SimpleNamespace(agent=SimpleNamespace(agent_name="A1", context=SimpleNamespace(id="chat")))

    async def compress() -> bool:
        return compressed

    assert asyncio.run(memory.compression(Probe(tracing))(compress, history, (), {})) is compressed
    expected = {names.AGENT_NAME: "A1", names.CONVERSATION_ID: "chat"}
    expected |= {names.COMPRESSED: True} if compressed else {}
    assert tracing.opened == [(names.COMPRESS_HISTORY, expected)]
    assert tracing.from_ns == [100_000_000]


@pytest.mark.parametrize("history", [None, SimpleNamespace(), SimpleNamespace(agent=None)])
def test_a_history_of_another_shape_is_compressed_all_the_same(probe, history):
    async def compress() -> str:
        return "done"

    assert asyncio.run(memory.compression(probe)(compress, history, (), {})) == "done"


def test_without_tracing_both_only_pass_on():
    async def answer(*_: Any) -> list[str]:
        return ["a"]

    probe = Probe(None)
    assert asyncio.run(memory.recall(probe)(answer, None, (QUERY,), {})) == ["a"]
    assert asyncio.run(memory.compression(probe)(answer, None, (), {})) == ["a"]
