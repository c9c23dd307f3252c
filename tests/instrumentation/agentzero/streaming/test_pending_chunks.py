"""What a chunk is for, whether it may be the last, and how chunks that were held back are delivered."""

from __future__ import annotations

import pytest

from autoperf.instrumentation.agentzero.streaming.held_chunks import Held
from autoperf.instrumentation.agentzero.streaming.pending_chunks import may_complete, same_kind


@pytest.mark.parametrize(
    ("chunk", "kind", "same"),
    [
        ({"choices": [{"delta": {"content": "a"}}]}, "response", True),
        ({"choices": [{"delta": {"content": "a"}}]}, "reasoning", False),
        ({"choices": [{"delta": {"content": "<think>"}}]}, "response", False),
        ({"choices": [{"delta": {"content": "a", "reasoning_content": "b"}}]}, "response", False),
        ({"choices": [{"delta": {"content": "a", "reasoning_content": "b"}}]}, "reasoning", False),
        ({"choices": [{"delta": {"content": "", "reasoning_content": "b"}}]}, "reasoning", True),
        ({"choices": [{"delta": {"content": None}}]}, "response", False),
        ({"choices": []}, "response", False),
        ({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}, "response", False),
        ({"response_delta": "a", "reasoning_delta": ""}, "response", True),
        ({"response_delta": "", "reasoning_delta": "b"}, "response", False),
        (None, "response", False),
    ],
)
def test_what_the_next_chunk_is_for(chunk, kind, same):
    assert same_kind(chunk, kind) is same


@pytest.mark.parametrize(
    ("chunk", "full", "may"),
    [
        ("a}", "{a}", True),
        ("]", "[]", True),
        ("a", "{a", False),
        (" ", "{} ", True),
        (" ", "{a ", False),
        ("", "{}", False),
    ],
)
def test_what_may_be_the_end(chunk, full, may):
    assert may_complete(chunk, full) is may


class Parser:
    """Stands for the host's: an object begins with a brace, and a question mark makes it fail."""

    @staticmethod
    def parse_string(text):
        if "?" in text:
            raise ValueError(text)
        return {} if text.startswith("{") else []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["{", "a", "b"], [("{ab", "{ab")]),
        (["{", "?", "b"], [("{", "{"), ("?", "{?"), ("b", "{?b")]),
        (["a", "b"], [("a", "a"), ("b", "ab")]),
        (["?"], [("?", "?")]),
    ],
)
def test_what_the_host_cannot_parse_is_delivered_one_by_one(texts, expected):
    names = {"DirtyJson": Parser}
    exec("async def callback(chunk, full): ...", names)
    held = Held("response", names["callback"])
    reasons = Held("reasoning", names["callback"])
    for number, text in enumerate(texts, 1):
        held.add(text, "".join(texts[:number]))
        reasons.add(text, "".join(texts[:number]))
    assert held.deliveries() == expected
    assert reasons.deliveries() == [("".join(texts), "".join(texts))]
