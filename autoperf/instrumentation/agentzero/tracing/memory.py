"""What the agent remembers, as spans: memories searched for, history compressed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.instrumentation.agentzero.context import Probe, agent_attributes
from autoperf.telemetry import names

# Nearly every call only counts and finds that the history is short enough: that is no span of its own.
_COUNTING_NS: Final = 100_000_000
_KEYS: Final = (names.AGENT_NAME, names.CONVERSATION_ID)


def recall(probe: Probe) -> Callable[..., Any]:
    """For ``Memory.search_similarity_threshold(query, ...)`` and its kin: how long, how many found."""

    async def search(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
        turn = probe.turn.get()
        with probe.span(names.MEMORY_RECALL, turn.attributes() if turn is not None else {}) as span:
            found = await wrapped(*args, **kwargs)
            with guarded("Memory.search_similarity_threshold"):
                if isinstance(found, (list, tuple)):
                    span.set(names.MEMORY_RESULTS, len(found))
            return found

    return search


def compression(probe: Probe) -> Callable[..., Any]:
    """For ``History.compress()``: a span where it compressed something, asked a model, or took long."""

    async def compress(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        attributes: dict[str, Any] = {}
        with guarded("History.compress"):
            attributes = agent_attributes(getattr(instance, "agent", None), _KEYS)
        least = min(_COUNTING_NS, probe.threshold(_COUNTING_NS))
        started = time.perf_counter_ns()
        with probe.span(names.COMPRESS_HISTORY, attributes, from_ns=least) as span:
            compressed = await wrapped(*args, **kwargs)
            if compressed is True:
                span.set(names.COMPRESSED, True)
        with guarded("History.compress"):
            turn = probe.turn.get()
            if turn is not None and not getattr(span, "is_made", True):
                turn.add_up(names.COMPRESS_HISTORY, time.perf_counter_ns() - started)
        return compressed

    return compress
