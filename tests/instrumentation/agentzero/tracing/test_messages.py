"""Prompts and answers of every generation, in the shape of the conventions."""

from __future__ import annotations

from types import SimpleNamespace as Thing
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.tracing.messages import apart, output, prompt


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def said(role: str, *contents: str) -> dict[str, Any]:
    return {"role": role, "parts": [text(content) for content in contents]}


LANGCHAIN = [
    Thing(type="system", content="be"),
    Thing(type="human", content="a"),
    Thing(type="ai", content="b"),
]
CONVERSATION = [said("system", "be"), said("user", "a"), said("assistant", "b")]


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((), {"messages": LANGCHAIN, "response_callback": None}, CONVERSATION),
        ((Thing(messages=LANGCHAIN),), {}, CONVERSATION),
        (([{"role": "user", "content": "a"}],), {}, [said("user", "a")]),
        ((), {"prompt": Thing(messages=LANGCHAIN)}, CONVERSATION),
        (("be", "a"), {}, CONVERSATION[:2]),
        ((), {"system_message": "be", "user_message": "a"}, CONVERSATION[:2]),
        ((), {"system": "be", "message": "a", "background": True}, CONVERSATION[:2]),
        (("be", "c", LANGCHAIN[1:]), {}, [*CONVERSATION, said("user", "c")]),
        ((), {"messages": [{"role": "tool", "content": "r"}]}, [said("tool", "r")]),
        ((), {}, []),
    ],
)
def test_the_prompt_of_each_kind_of_call(args, kwargs, expected):
    assert prompt(args, kwargs) == expected


def test_pictures_leave_only_their_kind():
    blocks = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:secret"}},
        "end",
    ]
    (message,) = prompt((), {"messages": [Thing(type="human", content=blocks)]})
    assert message["parts"] == [text("look"), {"type": "image_url"}, text("end")]


def test_instructions_stand_apart_from_the_conversation():
    assert apart(CONVERSATION) == ([text("be")], CONVERSATION[1:])
    assert apart([]) == ([], [])


CALL = Thing(name="echo", arguments={"text": "x"}, call_id="call_1")
TOLD = {"type": "tool_call", "id": "call_1", "name": "echo", "arguments": {"text": "x"}}


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        ("one", [text("one")]),
        (("one", ""), [text("one")]),
        (("one", "why"), [{"type": "reasoning", "content": "why"}, text("one")]),
        (Thing(response="one", reasoning="", function_calls=[]), [text("one")]),
        # The host writes a native call into the text as well: it is told once.
        (Thing(response='{"tool_name": "echo"}', reasoning="", function_calls=[CALL]), [TOLD]),
    ],
)
def test_the_models_message(result, parts):
    assert output(result, "stop") == [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]


def test_no_answer_is_no_message_and_no_reason_is_said_to_be_unknown():
    assert output(("", ""), "stop") == output(None, "stop") == []
    assert output("one", "")[0]["finish_reason"] == "unknown"
