"""A streamed answer reaches the host as it would without us, made by fewer calls."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from autoperf.instrumentation.clients import known_sources
from autoperf.instrumentation.clients.openai_events import GIVEN_UP
from autoperf.instrumentation.clients.seams import rows
from autoperf.patching.patch import Patch, PatchSet
from tests.clients import lookalike
from tests.clients.lookalike import calls, shown, stream


def event(content: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"delta": {"content": content, **more.pop("delta", {})}, "finish_reason": finish}
    return {"id": more.pop("id", "x"), "choices": [choice], **more}


WORDS = [event(f"word {n}") for n in range(30)]


@pytest.fixture
def patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[PatchSet]:
    """Rows for the look-alike, known to be one; not started yet."""
    for name, module in lookalike.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    for package, names in lookalike.NAMES.items():
        table = {name: known_sources._digest(known_sources._found(name)) for name in names}
        monkeypatch.setitem(known_sources.RELIED_ON, package, table)
    calls.update(dict.fromkeys(calls, 0))
    probe = lookalike.probe()
    wanted = {name for names in lookalike.NAMES.values() for name in names}
    patches = PatchSet([Patch(t, "client", build) for t, build in rows({}, probe) if t in wanted])
    patches.probe = probe  # type: ignore[attr-defined]
    yield patches
    patches.stop()


async def take(*events: Any, cancel: int = -1, **options: Any) -> tuple[list[Any], str]:
    """Chunks, and the text of the error that ended them."""
    found: list[Any] = []
    wrapper = stream(*events, **options)
    try:
        async for chunk in wrapper:
            found.append(chunk)
            if len(found) == cancel:
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await asyncio.sleep(0)
    except BaseException as error:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return found, text
    return found, ""


def both(patches: PatchSet, *events: Any, **options: Any) -> tuple[list[Any], str]:
    """What is taken bare, and the same instrumented; they are equal."""
    bare = asyncio.run(take(*events, **options))
    calls.update(dict.fromkeys(calls, 0))
    patches.start()
    ours = asyncio.run(take(*events, **options))
    patches.stop()
    assert [shown(chunk) for chunk in ours[0]] == [shown(chunk) for chunk in bare[0]]
    assert ours[1] == bare[1]
    return ours


def test_most_chunks_are_made_after_the_first(patches: PatchSet) -> None:
    chunks, _ = both(patches, *WORDS, event(None, "stop"), "[DONE]")
    assert len(chunks) == 31
    assert calls["json"] < 8
    assert calls["chunk"] < 12
    # One before anything is known of the stream, and the one that is kept.
    assert calls["loops"] == 2
    kept = patches.probe.kept  # type: ignore[attr-defined]
    assert kept["client chunks"].hits > 18
    assert kept["client events"].hits > 20


def test_a_short_answer_is_left_alone(patches: PatchSet) -> None:
    both(patches, *WORDS[:3], event(None, "stop"))
    assert calls["json"] == 4
    assert calls["chunk"] == 4


@pytest.mark.parametrize(
    "odd",
    [
        event(""),
        event(None),
        event("w", delta={"tool_calls": [1]}),
        event("w", delta={"role": "assistant"}),
        event("w", "stop"),
        event("w", id="y"),
        event("w", usage={"total": 3}),
        event("w", more={"nested": [1, {"a": None}]}),
        event(["a", {"b": 1}]),
        {"id": "x", "choices": [], "usage": None},
        {"error": "overloaded"},
        {"no": "choices"},
        '{"id": "x", "choices": [{"delta": {"content": "bro',
        '{"id": "x", "choices": [{"delta": {"content": "a", "content": "b"}, "finish_reason": null}]}',
        '{"id":"x","choices":[{"delta":{"content":"tight"},"finish_reason":null}]}',
    ],
)
@pytest.mark.parametrize("often", [1, 9])
def test_what_is_odd_comes_through_as_it_is(patches: PatchSet, odd: Any, often: int) -> None:
    both(patches, *WORDS[:15], *[odd] * often, *WORDS[15:], event(None, "stop"), "[DONE]")


def test_padding_beside_the_text_is_understood(patches: PatchSet) -> None:
    padded = [event(f"word {n}", obfuscation="p" * (n % 5 + 1) + str(n)) for n in range(30)]
    both(patches, *padded)
    assert calls["chunk"] < 12


def test_kinds_that_take_turns_are_both_learnt(patches: PatchSet) -> None:
    turns = [
        event(f"c{n}") if n % 2 else event(None, delta={"reasoning_content": f"r{n}"}) for n in range(40)
    ]
    both(patches, *turns)
    assert calls["chunk"] < 16


def test_an_endless_repetition_is_still_found(patches: PatchSet) -> None:
    _, error = both(patches, *WORDS, *[event("again")] * 120)
    assert "repeating again" in error
    assert "safety_checker" in error


def test_a_cancelled_answer_ends_the_same(patches: PatchSet) -> None:
    _, error = both(patches, *WORDS, cancel=20)
    assert "CancelledError" in error


def test_chunks_are_the_hosts_to_change(patches: PatchSet) -> None:
    patches.start()
    chunks, _ = asyncio.run(take(*WORDS))
    chunks[20].choices[0].delta.__pydantic_extra__["content"] = "mine"
    chunks[20].__pydantic_private__["_hidden_params"]["mine"] = 1
    chunks[20].choices.clear()
    assert chunks[21].choices[0].delta.content == "word 21"
    assert "mine" not in chunks[21]._hidden_params


@pytest.mark.parametrize("name", ["model", "response_id", "holding_chunk", "_hidden_params"])
def test_a_change_to_what_litellm_looks_at_is_seen(patches: PatchSet, name: str) -> None:
    async def changed() -> list[Any]:
        wrapper, found = stream(*WORDS), []
        async for chunk in wrapper:
            found.append(shown(chunk))
            if len(found) == 15:
                setattr(wrapper, name, {"other": 2} if name == "_hidden_params" else "other")
        return found

    bare = asyncio.run(changed())
    patches.start()
    before = calls["chunk"]
    assert asyncio.run(changed()) == bare
    assert calls["chunk"] > before + 6


def test_debugging_and_own_providers_see_every_chunk_made(patches: PatchSet, caplog: Any) -> None:
    patches.start()
    for provider, debug in (("azure", False), ("mine", False), ("openai", True)):
        lookalike.litellm._custom_providers = ["mine"]
        lookalike.verbose_logger.setLevel(logging.DEBUG if debug else logging.ERROR)
        calls["chunk"] = 0
        asyncio.run(take(*WORDS, provider=provider))
        assert calls["chunk"] == len(WORDS)
    lookalike.verbose_logger.setLevel(logging.ERROR)
    assert sum("chunk <" in line.message for line in caplog.records) == len(WORDS)


def test_a_replaced_function_is_not_second_guessed(
    patches: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    patches.start()
    handler = sys.modules["litellm.litellm_core_utils.streaming_handler"]
    original = handler.CustomStreamWrapper.chunk_creator

    def mine(self: Any, chunk: Any) -> Any:
        calls["loops"] += 100
        return original(self, chunk)

    monkeypatch.setattr(handler.CustomStreamWrapper, "chunk_creator", mine)
    calls["chunk"] = 0
    asyncio.run(take(*WORDS))
    assert calls["chunk"] == len(WORDS)


def test_another_version_is_left_alone(patches: PatchSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known_sources.RELIED_ON["litellm"], lookalike.NAMES["litellm"][0], "0123456789abcdef")
    monkeypatch.setitem(known_sources.RELIED_ON["openai"], lookalike.NAMES["openai"][1], "0123456789abcdef")
    patches.start()
    assert [row.state for row in patches.rows] == ["applied", "unrecognised", "applied"]
    asyncio.run(take(*WORDS))
    assert calls["json"] == calls["chunk"] == len(WORDS)
    told = patches.rows[0].as_row()
    assert told["state"] == "unrecognised", "what it calls is of another version"
    assert lookalike.NAMES["openai"][1] in told["reason"]


def test_off_in_mid_stream(patches: PatchSet) -> None:
    async def stopped() -> list[Any]:
        wrapper, found = stream(*WORDS), []
        async for chunk in wrapper:
            found.append(shown(chunk))
            if len(found) == 15:
                patches.stop()
        return found

    bare = asyncio.run(stopped())
    patches.start()
    assert asyncio.run(stopped()) == bare


def test_nothing_is_kept_of_a_stream_that_is_gone(patches: PatchSet) -> None:
    patches.start()

    async def leave() -> None:
        async for _ in stream(*WORDS):
            pass

    asyncio.run(leave())
    gc.collect()
    kind = sys.modules["openai._streaming"].AsyncStream
    assert not [found for found in gc.get_objects() if type(found) is kind]


def test_what_cannot_be_made_from_earlier_ones_is_counted(
    patches: PatchSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookalike.Client, "_strict_response_validation", True)
    both(patches, *WORDS, event(None, "stop"))
    events = patches.probe.kept["client events"]  # type: ignore[attr-defined]
    assert events.hits == 0
    assert events.misses > 18
    assert events.reasons.keys() == {GIVEN_UP}
