"""Texts that fit a pattern are read by JSON as the pattern says, and no others fit."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from autoperf.instrumentation.clients.json_templates import pattern

PIECES = ["a", "é", '"', "\\", "\n", "\u2028", "\ud83d", "🙂", "{", "}", " ", "0", '"content": "', "\x00"]


def event(content: Any, **more: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"delta": {"content": content, **more}}]}


def strings(first: Any, second: Any) -> list[str] | None:
    """The strings of the second text under the pattern of the first."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (first, second)]
    found = pattern(texts[0])
    assert found is not None
    return found.strings(texts[1])


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_text_that_fits_is_the_first_with_other_strings(ascii_only: bool) -> None:
    chance = random.Random(7)

    def text() -> str:
        return "".join(chance.choices(PIECES, k=chance.randrange(1, 9)))

    fitted = 0
    for _ in range(3000):
        olds, news = [text(), text()], [text(), text()]
        first = json.dumps(event(olds[0], obfuscation=olds[1]), ensure_ascii=ascii_only)
        second = json.dumps(event(news[0], obfuscation=news[1]), ensure_ascii=ascii_only)
        found = pattern(first)
        assert found is not None
        got = found.strings(second)
        assert got == news
        assert json.loads(found.text(news)) == json.loads(second)
        fitted += 1
    assert fitted == 3000


@pytest.mark.parametrize(
    "other",
    [
        event("b", role="x"),
        event(""),
        event(None),
        event(7),
        {"id": "y", "choices": event("b")["choices"]},
        json.dumps(event("b")) + " ",
        json.dumps(event("b"))[:-1],
        json.dumps(event("b")).replace(": ", ":"),
        '{"id": "x", "choices": [{"delta": {"content": "b\x01"}}]}',
        '{"id": "x", "choices": [{"delta": {"content": "b\\x"}}]}',
        '{"id": "x", "choices": [{"delta": {"content": "b',
        "[DONE]",
        "",
    ],
)
def test_what_differs_in_more_does_not_fit(other: Any) -> None:
    assert strings(event("a"), event("b")) == ["b"]
    assert strings(event("a"), other) is None


def test_an_empty_string_is_no_place_for_another() -> None:
    assert pattern(json.dumps(event(""))) is None
    assert strings(event("", reasoning="r"), event("", reasoning="s")) == ["s"]
    assert strings(event("", reasoning="r"), event("c", reasoning="s")) is None


def test_a_string_within_a_string_is_none_of_them() -> None:
    inner = json.dumps(event("inner"))
    assert strings({"text": inner, "content": "a"}, {"text": inner, "content": "b"}) == ["b"]


def test_too_many_strings_make_no_pattern() -> None:
    assert pattern(json.dumps([{"content": str(n)} for n in range(4)])) is not None
    assert pattern(json.dumps([{"content": str(n)} for n in range(5)])) is None
