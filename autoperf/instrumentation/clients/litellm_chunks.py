"""litellm: the chunks of one streamed answer, made after the first few of them.

For every event litellm makes a chunk of its own through some twenty constructors and copies. Where the event
differs from earlier ones only in its texts, and nothing that litellm looks at has changed since, the chunk
is made after the earlier ones.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from autoperf.errors import guarded
from autoperf.instrumentation.clients.openai_events import GIVEN_UP, SLOT, Counter, Events
from autoperf.instrumentation.clients.templates import DifferentError, Make, Taken, recipe, take

SEAM: Final = "litellm.litellm_core_utils.streaming_handler:CustomStreamWrapper.__anext__"
_DEBUG: Final = 10
_ATTEMPTS: Final = 8
# With these litellm takes another way through a chunk that openai has made.
_OTHER_WAYS: Final = frozenset(
    {"azure", "azure_ai", "azure_text", "cached_response", "sagemaker", "gemini", "vertex_ai", "bedrock"}
)
# What the making of a chunk depends on, or sets, beside the event.
_STATE: Final = (
    "model",
    "custom_llm_provider",
    "response_id",
    "created",
    "system_fingerprint",
    "received_finish_reason",
    "intermittent_finish_reason",
    "sent_first_chunk",
    "sent_last_chunk",
    "holding_chunk",
    "merge_reasoning_content_in_choices",
    "sent_first_thinking_block",
    "tool_call",
    "stream_options",
    "_hidden_params",
)
_state: Final = attrgetter(*_STATE)


class _Learnt:
    """How the chunks of one kind of event are made, once ``make`` is known."""

    __slots__ = ("attempts", "before", "make", "state", "strings")

    def __init__(self) -> None:
        self.attempts = _ATTEMPTS
        self.before: Taken | None = None
        self.strings: list[str] = []
        self.state: Any = None
        self.make: Make | None = None


class Chunks:
    """What the rewritten ``__anext__`` asks; ``known`` tells whether this version of litellm is."""

    def __init__(self, known: Callable[[], bool], memo: Counter) -> None:
        self._known = known
        self._memo = memo

    def create(self, wrapper: Any, event: Any) -> Any:
        """The chunk for ``event``, or None if litellm is to make it."""
        with guarded(SEAM):
            events = _events(wrapper, event)
            if events is not None:
                return self._create(wrapper, events)
        return None

    def learn(self, wrapper: Any, event: Any, chunk: Any) -> Any:
        """Look at the ``chunk`` that litellm has made for ``event``; it is returned as it is."""
        with guarded(SEAM):
            events = _events(wrapper, event)
            if events is not None and chunk is not None:
                self._learn(wrapper, events, chunk)
        return chunk

    def _create(self, wrapper: Any, events: Events) -> Any:
        kind = events.kind
        learnt = None if kind is None else events.chunks.get(kind)
        if learnt is None or learnt.make is None:
            return None
        if _state(wrapper) != learnt.state or not _plain(wrapper) or _repeating(wrapper):
            self._memo.misses += 1
            return None
        self._memo.hits += 1
        return learnt.make(events.strings, time.time())

    def _learn(self, wrapper: Any, events: Events, chunk: Any) -> None:
        kind = events.kind
        assert kind is not None
        learnt = events.chunks.get(kind)
        if learnt is None:
            learnt = events.chunks[kind] = _Learnt()
        if learnt.make is not None:
            return
        if not learnt.attempts:
            self._memo.misses += 1
            self._memo.missed_for(GIVEN_UP)
            return
        if not (_plain(wrapper) and self._known()):
            return
        learnt.attempts -= 1
        state, taken = _copied(wrapper), take(chunk)
        if learnt.before is not None and learnt.state == state:
            learnt.make = _agreed(learnt.before, taken, learnt.strings, events.strings)
        learnt.before, learnt.strings, learnt.state = taken, events.strings, state
        if learnt.make is not None:
            learnt.before = None


def _events(wrapper: Any, event: Any) -> Events | None:
    stream = wrapper.completion_stream
    events = getattr(stream, "__dict__", {}).get(SLOT)
    if type(events) is Events and events.last is event and events.switch.on:
        return events
    return None


def _copied(wrapper: Any) -> Any:
    return tuple(dict(value) if type(value) is dict else value for value in _state(wrapper))


def _agreed(before: Taken, after: Taken, olds: list[str], news: list[str]) -> Make | None:
    # A text that is the same twice, or another's, does not tell where it went.
    if len({*olds, *news}) != len(olds) + len(news):
        return None
    try:
        return recipe(before, after, olds, news)
    except DifferentError:
        return None


def _plain(wrapper: Any) -> bool:
    """Whether litellm does here what it does for everybody, and prints nothing of it."""
    litellm: Any = sys.modules["litellm"]
    provider = wrapper.custom_llm_provider
    return (
        not litellm.set_verbose
        and not litellm.verbose_logger.isEnabledFor(_DEBUG)
        and provider not in litellm._custom_providers
        and provider not in _OTHER_WAYS
        and wrapper.merge_reasoning_content_in_choices is False
    )


def _repeating(wrapper: Any) -> bool:
    """Whether litellm's own check for a model that repeats itself has to look at this chunk.

    It has two forms: one looks back over as many chunks as the limit says, the other counts.
    """
    check = getattr(wrapper, "safety_checker", None)
    if check is None:
        return _repeats(wrapper, wrapper.raise_on_model_repetition)
    chunks = wrapper.chunks
    limit = sys.modules["litellm"].REPEATED_STREAMING_CHUNK_LIMIT
    if len(chunks) < limit:
        return False
    if limit < 2 or _content(chunks[-1]) == _content(chunks[-2]):
        return _repeats(wrapper, check)
    return False


def _content(chunk: Any) -> Any:
    return chunk.choices[0].delta.content


def _repeats(wrapper: Any, check: Callable[[], None]) -> bool:
    count = getattr(wrapper, "_repeated_messages_count", None)
    try:
        check()
    except Exception:
        # It raises again when litellm makes the chunk, from where the host expects it.
        if count is not None:
            wrapper._repeated_messages_count = count
        return True
    return False
