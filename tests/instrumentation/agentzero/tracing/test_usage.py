"""The provider's own words in a client's answer: its numbers, or none; never a count of the client's."""

from __future__ import annotations

from types import SimpleNamespace as Thing
from typing import Any

import pytest

from autoperf.instrumentation.agentzero.tracing.usage import Answer, Usage, read, usage_of


def usage(given: int | None, made: int | None, cached: int | None = None, thought: int | None = None) -> Any:
    return Thing(
        prompt_tokens=given,
        completion_tokens=made,
        prompt_tokens_details=None if cached is None else Thing(cached_tokens=cached),
        completion_tokens_details=None if thought is None else Thing(reasoning_tokens=thought),
    )


def stream(*usages: Any, reason: Any = "stop") -> Any:
    chunks = [Thing(model="asked-for", usage=u) if u else Thing(model="asked-for") for u in usages]
    return Thing(chunks=chunks, received_finish_reason=reason)


def whole(reported: Any) -> Any:
    return Thing(choices=[Thing(finish_reason="length")], usage=reported, model="m-2026")


def response(reported: Any, status: str = "completed", why: str | None = None) -> Any:
    details = Thing(reason=why) if why else None
    return Thing(output=[], usage=reported, status=status, incomplete_details=details, model="m-2026")


RESPONSES_USAGE = Thing(
    input_tokens=9,
    output_tokens=4,
    input_tokens_details=Thing(cached_tokens=2),
    output_tokens_details={"reasoning_tokens": 1},
)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (stream(None, None, usage(9, 4, 2, 1)), Answer(Usage(9, 4, 2, 1), "stop")),
        (stream(None, None), Answer(Usage(), "stop")),
        (stream(None, reason=None), Answer(Usage())),
        (Thing(chunks=[], received_finish_reason=None), Answer(Usage())),
        # One part at the beginning, another at the end; and numbers that grow.
        (stream(usage(9, 0, 2), *[None] * 20, usage(0, 4)), Answer(Usage(9, 4, 2), "stop")),
        (stream(*[usage(9, n) for n in range(30)]), Answer(Usage(9, 29), "stop")),
        (whole(usage(9, 4)), Answer(Usage(9, 4), "length", "m-2026")),
        (whole(usage(0, 0)), Answer(Usage(), "length", "m-2026")),
        (whole(usage(None, None)), Answer(Usage(), "length", "m-2026")),
        (whole(usage(9, 0)), Answer(Usage(9, 0), "length", "m-2026")),
        (response(RESPONSES_USAGE), Answer(Usage(9, 4, 2, 1), "stop", "m-2026")),
        (response(None), Answer(Usage(), "stop", "m-2026")),
        (response(None, "incomplete", "max_output_tokens"), Answer(Usage(), "length", "m-2026")),
        (response(None, "incomplete", "content_filter"), Answer(Usage(), "content_filter", "m-2026")),
        (
            Thing(completed_response=Thing(response=response(RESPONSES_USAGE))),
            Answer(Usage(9, 4, 2, 1), "stop", "m-2026"),
        ),
        (Thing(completed_response=None), Answer(Usage())),
        # Responses served by Chat Completions: the client's own sum at its end is not looked at.
        (
            Thing(
                litellm_custom_stream_wrapper=stream(None),
                completed_response=Thing(response=response(RESPONSES_USAGE)),
            ),
            Answer(Usage(), "stop"),
        ),
        ("a text", Answer(Usage())),
        (None, Answer(Usage())),
    ],
)
def test_what_an_answer_holds(answer, expected):
    assert read(answer, "openai") == expected


@pytest.mark.parametrize(
    ("provider", "streamed", "in_one_piece"),
    [
        ("openai", Usage(9, 4, 2, 1), Usage(9, 4, 2, 1)),
        ("anthropic", Usage(9, 4, 2, 1), Usage(9, 4, 2, None)),
        ("ollama", Usage(9, 4, 2, 1), Usage()),
        ("bedrock", Usage(9, 4, 2, 1), Usage()),
        ("replicate", Usage(), Usage()),
    ],
)
def test_providers_for_which_the_client_counts_itself(provider, streamed, in_one_piece):
    assert read(stream(usage(9, 4, 2, 1)), provider).usage == streamed
    assert read(whole(usage(9, 4, 2, 1)), provider).usage == in_one_piece


@pytest.mark.parametrize("bad", ["9", 9.5, True, None, object()])
def test_what_is_no_number_is_no_usage(bad):
    assert usage_of(Thing(prompt_tokens=bad, completion_tokens=4), "openai") == Usage(None, 4)


def test_texts_that_are_none_are_left_out():
    found = read(Thing(choices=[Thing(finish_reason=3)], usage=None, model=object()), "openai")
    assert found == Answer(Usage())
