"""Chunks that come fast are merged; what an agent does with them, and when it stops, is what it was."""

from __future__ import annotations

import asyncio

import pytest

from tests.throttle_host import Chunk, Host, hosts, run

WORDS = '{"tool_name": "response", "tool_args": {"text": "' + "word " * 30


def pieces(text: str, size: int = 4, apart: float = 0.005) -> list[Chunk]:
    return [(apart, text[at : at + size]) for at in range(0, len(text), size)]


def growing(deliveries: list[tuple[str, str]]) -> bool:
    """Whether each delivery's text is the one before it and its own chunk."""
    text = ""
    for chunk, full in deliveries:
        text += chunk
        if full != text:
            return False
    return True


@pytest.fixture
def make():
    with hosts() as made:
        yield made


@pytest.fixture
def host(make) -> Host:
    return make()


@pytest.fixture
def bare(make) -> Host:
    return make(throttled=False)


def test_merged_chunks_are_joined_and_the_text_is_the_latest(host, bare):
    assert bare.ask(pieces(WORDS)) == host.ask(pieces(WORDS)) == WORDS
    assert len(bare.deliveries) == 50
    assert growing(host.deliveries)
    assert host.text("response") == WORDS
    # 0.25 s: the first at once, then one each 0.05 s, and the last.
    assert len(host.deliveries) == 6
    assert host.probe.memos["stream chunks"].as_row()["hits"] == 50 - 6


def test_the_first_at_once_and_the_last_with_the_end(host):
    host.ask(pieces(WORDS))
    assert host.deliveries[0] == (WORDS[:4], WORDS[:4])
    assert host.times[0] == 0.005
    assert host.deliveries[-1][1] == WORDS
    assert host.times[-1] == 0.25


def test_never_held_longer_than_the_rate_says(host):
    host.ask([(0.0, "{"), (0.01, "b"), (0.01, "c"), (1.0, "d"), (0.01, "e")])
    assert host.deliveries == [("{", "{"), ("bc", "{bc"), ("d", "{bcd"), ("e", "{bcde")]
    assert host.times == [0.0, 0.05, 1.02, 1.03]


def test_slow_chunks_come_as_they_are_and_when_they_are(host, bare):
    slow = pieces(WORDS, apart=0.06)
    bare.ask(slow)
    host.ask(slow)
    assert host.agent.seen == bare.agent.seen
    assert host.probe.memos["stream chunks"].as_row()["hits"] == 0


def test_a_backlog_is_delivered_at_once(host):
    host.ask(pieces(WORDS, apart=0.0))
    assert host.times == [0.0, 0.0]
    assert host.deliveries == [(WORDS[:4], WORDS[:4]), (WORDS[4:], WORDS)]


def test_one_that_is_due_does_not_wait_for_those_behind_it(host):
    host.ask([(0.0, "{"), (0.06, "b"), (0.0, "c"), (0.0, "d")])
    assert host.deliveries == [("{", "{"), ("b", "{b"), ("cd", "{bcd")]


@pytest.mark.parametrize("hz", [5.0, 50.0])
def test_as_often_as_asked_for(hz):
    with hosts(hz) as make:
        host = make()
        host.ask(pieces("{" + "word " * 200, size=5))
    gaps = [b - a for a, b in zip(host.times, host.times[1:], strict=False)]
    assert all(gap == pytest.approx(1 / hz, abs=0.0051) for gap in gaps[:-1])


def before(host: Host, time: float) -> str:
    """What was delivered before then."""
    rows = zip(host.deliveries, host.times, strict=True)
    return "".join(chunk for (chunk, _), when in rows if when < time)


def stop(agent):
    agent.intervention = "stop"


def pause(agent):
    agent.context.paused = True


def resume(agent):
    agent.context.paused = False


@pytest.mark.parametrize("at", [0.001, 0.012, 0.061, 0.099, 0.1999])
def test_a_message_acts_at_the_next_chunk(make, at):
    bare = make(throttled=False)
    expected = bare.ask(pieces(WORDS), (at, stop))
    host = make()
    found = host.ask(pieces(WORDS), (at, stop))
    assert (type(found).__name__, str(found)) == ("InterventionException", "stop")
    assert str(expected) == str(found)
    assert host.text("response") == bare.text("response")
    assert (host.read, host.closed_at) == (bare.read, bare.closed_at)


@pytest.mark.parametrize("at", [0.012, 0.061, 0.099])
def test_a_pause_holds_at_the_next_chunk(make, at):
    bare = make(throttled=False)
    host = make()
    for one in (bare, host):
        assert one.ask(pieces(WORDS), (at, pause), (at + 0.7, resume)) == WORDS
    held = [one for one in bare.times if one > at]
    assert host.text("response") == bare.text("response")
    assert growing(host.deliveries)
    # Nothing of what comes after it is delivered before it ends, everything before it is.
    assert min(one for one in host.times if one > at + 0.0051) >= held[0]
    before = "".join(
        chunk for (chunk, _), when in zip(host.deliveries, host.times, strict=True) if when < held[0]
    )
    assert before == "".join(
        c for (c, _), when in zip(bare.deliveries, bare.times, strict=True) if when < held[0]
    )


@pytest.mark.parametrize(
    "answer",
    [
        pieces('{"tool_name": "response", "tool_args": {"text": "one"}} and more of it, and more'),
        pieces('{"a": [1, 2, 3], "b": {"c": "}"}}  {"a": 2}', size=1),
        [*pieces('{"a": "long enough to be held back"', apart=0.001), (0.001, "}"), (0.001, "tail")],
        [*pieces('["a", "long enough to be held"', apart=0.001), (0.001, "]"), (0.001, "tail")],
    ],
)
def test_every_beginning_that_can_be_the_whole_is_looked_at(make, answer):
    bare, host = make(throttled=False), make()
    assert bare.ask(answer) == host.ask(answer)
    assert host.read == bare.read < len(answer)
    assert host.closed_at == bare.closed_at
    assert host.throttle is not None
    assert not host.throttle.off


def test_white_space_may_complete_an_object_too(make):
    bare, host = make(throttled=False), make()
    answer = [*pieces('{"a": "b"}', apart=0.001), (0.001, " \n"), (0.001, "more")]
    for one in (bare, host):
        one.agent.ends = "\n"
        assert one.ask(answer) == '{"a": "b"} \n'
    assert host.read == bare.read
    assert host.throttle is not None
    assert not host.throttle.off


def test_reasoning_comes_before_the_answer(make):
    bare, host = make(throttled=False), make()
    answer = [*((0.002, f"~why{n} ") for n in range(20)), *pieces(WORDS, apart=0.002)]
    assert bare.ask(answer) == host.ask(answer)
    kinds = [kind for kind, *_ in host.agent.seen]
    assert kinds == sorted(kinds)
    assert host.text("reasoning") == bare.text("reasoning")
    assert host.text("response") == bare.text("response")
    assert len(kinds) < 10


def test_the_first_of_each_kind_comes_at_once(host):
    host.ask([*((0.002, f"~why{n} ") for n in range(20)), *pieces(WORDS, apart=0.002)])
    firsts = [next(seen for seen in host.agent.seen if seen[0] == kind) for kind in ("reasoning", "response")]
    assert [chunk for _, chunk, *_ in firsts] == ["why0 ", WORDS[:4]]
    assert firsts[1][3] == pytest.approx(1000 + 0.002 * 21)


def test_a_stream_that_breaks_has_been_seen_to_its_end(make):
    bare, host = make(throttled=False), make()
    for one in (bare, host):
        one.error = ConnectionError("cut")
        assert one.ask(pieces(WORDS)) is one.error
    assert host.text("response") == bare.text("response") == WORDS


def test_what_an_extension_raises_passes(host):
    host.agent.fails_at = "word word"
    found = host.ask(pieces(WORDS))
    assert (type(found), str(found)) == (ValueError, "an extension")
    assert host.closed_at is not None


@pytest.mark.parametrize("at", [0.012, 0.0175, 0.061])
def test_a_cancelled_agent_has_seen_what_had_come(make, at):
    def told(host: Host) -> bool:
        host.answer = pieces(WORDS)

        async def cancelled() -> bool:
            task = asyncio.ensure_future(host.agent.monologue())
            asyncio.get_running_loop().call_at(1000.0 + at, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            return task.cancelled()

        return bool(run(cancelled()))

    bare, host = make(throttled=False), make()
    assert told(bare)
    assert told(host)
    assert host.text("response") == bare.text("response")
    assert host.closed_at == bare.closed_at


def test_callbacks_of_others_get_every_chunk(host):
    host.answer = pieces(WORDS)
    assert run(host.agent.others()) == WORDS
    assert len(host.deliveries) == 50


def test_who_counts_tokens_gets_every_chunk(host):
    reading = host.module.Model.unified_call

    def counted(self, **callbacks):
        return reading(self, tokens_callback=print, **callbacks)

    host.module.Model.unified_call = counted
    host.ask(pieces(WORDS))
    assert len(host.deliveries) == 50
