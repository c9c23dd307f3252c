"""Normalisation hides clocks and random identifiers only: every change of substance is a difference."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from autoperf.benchmark.host.http_client import Answer
from autoperf.benchmark.host.run import Run, TurnResult
from autoperf.benchmark.measure.transcript import Normaliser, transcript
from autoperf.benchmark.model.server import CHAT_MODEL, UTILITY_MODEL, Recorded


def prompt(text: str, model: str = CHAT_MODEL) -> Recorded:
    return Recorded(
        "/v1/chat/completions", model, {"model": model, "messages": [{"role": "user", "content": text}]}
    )


def sample(context: str = "aB3dE9fG", second: int = 1) -> Run:
    moment = f"2026-01-02 03:04:0{second}"
    item = str(uuid.uuid4())
    return Run(
        turns=[TurnResult(Answer(200, {"context_id": context, "response": "done"}), wall=second, cpu=second)],
        requests=[prompt(f"now: {moment}"), prompt("list", UTILITY_MODEL), prompt("name", UTILITY_MODEL)],
        log={
            "guid": str(uuid.uuid4()),
            "items": [{"no": 1, "id": item, "timestamp": 1.5 * second, "content": "ran"}],
        },
        chat={
            "id": context,
            "created_at": moment,
            "agents": [{"history": {"messages": ["hello"], "id": item}}],
        },
        context=context,
        output=f"printed in {second} s",
    )


def changed(path: list[Any], value: Any) -> Run:
    run = sample()
    target: Any = vars(run)
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return run


def test_runs_that_differ_by_nature_only_are_equal() -> None:
    first, second = sample("aB3dE9fG", 1), sample("zZ9yY8xX", 2)
    assert transcript(first).differences(transcript(second)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["requests", 0], prompt("now: 2026-01-02 03:04:01!")),
        (["requests", 0], prompt("now: ")),
        (["requests", 1], prompt("lists", UTILITY_MODEL)),
        (["log", "items", 0, "content"], "ran twice"),
        (["log", "items", 0, "no"], 2),
        (["log", "items"], []),
        (["chat", "agents", 0, "history", "messages"], ["hello", "hello"]),
        (["chat", "id"], "another chat"),
        (["chat", "created_at"], None),
    ],
)
def test_a_changed_prompt_log_or_history_is_a_difference(path: list[Any], value: Any) -> None:
    assert transcript(sample()).differences(transcript(changed(path, value)))


def test_a_changed_answer_is_a_difference() -> None:
    other = sample()
    other.turns = [TurnResult(Answer(500, other.turns[0].answer.body), 1, 1)]
    assert transcript(sample()).differences(transcript(other))


def test_prompts_are_compared_in_order_and_by_number() -> None:
    first, second = sample(), sample()
    first.requests = [prompt("a"), prompt("b")]
    second.requests = [prompt("b"), prompt("a")]
    assert transcript(first).differences(transcript(second))
    second.requests = [prompt("a")]
    assert transcript(first).differences(transcript(second))


def test_background_requests_may_overtake_each_other_but_not_vanish() -> None:
    first, second = sample(), sample()
    second.requests[1:] = second.requests[:0:-1]
    assert transcript(first).differences(transcript(second)) == []
    second.requests.pop()
    assert transcript(first).differences(transcript(second))


def test_background_prompts_that_were_cut_are_compared_up_to_the_cut() -> None:
    def cut(text: str, model: str = UTILITY_MODEL) -> Run:
        return Run(requests=[prompt(text + "...\n", model)])

    long = "word " * 3_000
    assert transcript(cut(long)).differences(transcript(cut(long + "wo"))) == []
    assert transcript(cut("other " + long)).differences(transcript(cut(long)))
    assert transcript(cut(long, CHAT_MODEL)).differences(transcript(cut(long + "wo", CHAT_MODEL)))


def test_an_identifier_that_was_mixed_up_is_a_difference() -> None:
    one, two = (str(uuid.uuid4()) for _ in range(2))
    right, wrong = Run(log=[one, two, one]), Run(log=[one, two, two])
    assert transcript(right).differences(transcript(wrong))


def test_a_missing_chat_file_is_a_difference() -> None:
    other = sample()
    other.chat = None
    assert transcript(sample()).differences(transcript(other))


def test_the_difference_names_section_and_line() -> None:
    other = changed(["log", "items", 0, "content"], "ran\ntwice")
    text = "\n".join(transcript(sample()).differences(transcript(other)))
    assert "--- log (1)" in text
    assert '+   "content": "ran\\n' in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at 2026-11-22T15:37:55+00:00.", "at <time>."),
        ("<object at 0x7f12ab34cd56>", "<object at <address>>"),
        ("http://127.0.0.1:45123/v1", "http://127.0.0.1:<port>/v1"),
        ("version 0.9.8, 1234 tokens, 0x1f", "version 0.9.8, 1234 tokens, 0x1f"),
    ],
)
def test_rules(text: str, expected: str) -> None:
    assert Normaliser({})(text) == expected
