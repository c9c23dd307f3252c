"""How throttled answers end: by the host, by an exception, by a cancellation; and whose check is whose."""

from __future__ import annotations

import asyncio

import pytest

from autoperf.errors import failures
from autoperf.instrumentation.agentzero.streaming import throttle
from autoperf.instrumentation.agentzero.streaming.held_chunks import Held
from autoperf.instrumentation.agentzero.streaming.lookahead import Lookahead
from tests import throttle_host
from tests.throttle_host import Chunk, Host, hosts

WORDS = '{"tool_name": "response", "tool_args": {"text": "' + "word " * 30


def pieces(text: str, size: int = 4, apart: float = 0.005) -> list[Chunk]:
    return [(apart, text[at : at + size]) for at in range(0, len(text), size)]


@pytest.fixture
def make():
    with hosts() as made:
        yield made


@pytest.fixture
def host(make) -> Host:
    return make()


@pytest.mark.parametrize("last", ["over", "wrong"])
def test_a_host_that_ends_without_a_callback_has_seen_what_came_before(make, last):
    bare, host = make(throttled=False), make()
    answer = [*pieces(WORDS, apart=0.001), (0.001, last)]
    found = [one.ask(answer) for one in (bare, host)]
    assert str(found[0]) == str(found[1])
    assert host.text("response") == bare.text("response") == WORDS


def test_a_chunk_that_the_host_takes_otherwise_comes_after_those_before_it(make):
    bare, host = make(throttled=False), make()
    answer = [*pieces(WORDS, apart=0.001), (0.001, "thought"), *pieces("more", apart=0.001)]
    assert bare.ask(answer) == host.ask(answer)
    kinds = [kind for kind, *_ in host.agent.seen]
    assert kinds == ["response"] * kinds.index("reasoning") + ["reasoning"] + ["response"]
    assert host.deliveries[kinds.index("reasoning") - 1][1] == WORDS


def test_an_extension_that_asks_a_model_itself_reads_what_it_gives(host):
    note = host.agent.note
    read: list[str] = []

    async def noted(kind, chunk, full):
        await note(kind, chunk, full)
        if not read:
            read.append("begun")
            answer = await host.module.acompletion()
            read.append(type(answer).__name__)
            read.append((await answer.__anext__())["choices"][0]["delta"]["content"])

    host.agent.note = noted
    assert host.ask(pieces(WORDS)) == WORDS
    assert read == ["begun", "async_generator", WORDS[:4]]
    assert len(host.deliveries) < 10


@pytest.mark.parametrize("event", ["raises", "ends"])
def test_a_stream_that_was_waited_for_is_not_left_waiting(host, event):
    """The callback ends the answer while the next chunk has been begun and has not come."""
    if event == "raises":
        host.agent.fails_at = "held"
    else:
        host.agent.ends = "held"
    host.ask([(0.0, "{"), (0.01, "held"), (5.0, "never")])
    assert host.closed_by == "CancelledError"
    assert host.closed_at == pytest.approx(1000.05)


def test_one_that_was_held_alone_and_ended_the_answer_was_late_too(host):
    host.agent.ends = "held"
    assert host.ask([(0.0, "{"), (0.01, "held"), (5.0, "never")]) == "{held"
    assert host.throttle is not None
    assert host.throttle.off


def test_the_wait_for_chunks_is_not_the_callbacks_time(host):
    class Spans:
        seconds: list[float] = []

        def waited(self, seconds: float) -> None:
            self.seconds.append(seconds)

    spans = Spans()
    host.probe.stream.set(spans)
    host.ask(pieces(WORDS))
    assert len(Spans.seconds) == 49 - len(host.deliveries) + 2
    assert all(seconds > 0 for seconds in Spans.seconds)


def test_a_host_that_ends_answers_otherwise_is_left_alone(host):
    host.agent.ends = "word word"
    assert host.switch.aside is None
    host.ask(pieces(WORDS))
    assert host.throttle is not None
    assert host.throttle.off
    assert host.switch.aside == ("unrecognised", "the host ends answers by a rule that is not known here")
    assert failures.as_rows() == []
    first = len(host.deliveries)
    host.agent.ends = "json"
    host.ask(pieces(WORDS))
    assert len(host.deliveries) - first == 50


@pytest.mark.parametrize("change", [("chunk, full", "chunk, full, more"), ("stream_callback", "on_chunk")])
def test_other_callbacks_than_are_known_get_every_chunk_and_that_is_told(change):
    with hosts(source=throttle_host.SOURCE.replace(*change)) as make:
        host = make()
    assert host.throttle is not None
    assert host.throttle.off
    assert host.switch.aside == (
        "unrecognised",
        "the agent's callbacks on a stream are others than are known",
    )


def test_without_its_check_nothing_is_held_back(make):
    """What is delivered late would be stopped by a message that came after it."""
    host = make(checked=False)
    host.ask(pieces(WORDS))
    assert len(host.deliveries) == 50
    assert host.switch.aside == (
        "unrecognised",
        "it relies on the patch of handle_intervention, which does not act",
    )


def test_a_check_that_is_no_late_one_is_the_hosts(host):
    """Only the delivery itself passes it: neither other agents nor what a delivery leaves behind."""
    other = host.module.Agent(None)
    other.intervention = "for the other"
    raised: list[str] = []
    note = host.agent.note

    async def check(agent, after: float) -> None:
        await asyncio.sleep(after)
        try:
            await agent.handle_intervention()
        except host.module.InterventionException as error:
            raised.append(str(error))

    async def noted(kind, chunk, full):
        await note(kind, chunk, full)
        if full == WORDS:
            await check(other, 0)
            host.agent.intervention = "later"
            left.append(asyncio.ensure_future(check(host.agent, 0.5)))
            await check(host.agent, 0)
            host.agent.intervention = None
            asyncio.get_running_loop().call_later(0.1, setattr, host.agent, "intervention", "stop")

    left: list[asyncio.Future[None]] = []
    host.agent.note = noted
    host.ask(pieces(WORDS))
    assert raised == ["for the other", "stop"]


def test_switched_off_in_the_middle_every_chunk_comes_from_then_on(host):
    """As when another answer at the same time shows that this host ends answers otherwise."""

    def off(_agent) -> None:
        host.throttle.off = True

    host.ask(pieces(WORDS), (0.1, off))
    late = [chunk for (chunk, _), at in zip(host.deliveries, host.times, strict=True) if at > 0.11]
    assert len(late) > 20
    assert all(len(chunk) <= 4 for chunk in late)
    assert [full for _, full in host.deliveries] == sorted((f for _, f in host.deliveries), key=len)
    assert host.text("response") == WORDS


def test_held_chunks_that_end_the_answer_end_it_before_one_of_another_kind(make):
    bare, host = make(throttled=False), make()
    for one in (bare, host):
        one.agent.ends = "held"
    answer = [(0.0, "{"), (0.01, "held"), (0.01, "thought"), (0.01, "more")]
    assert bare.ask(answer) == host.ask(answer) == "{held"
    assert bare.deliveries == host.deliveries == [("{", "{"), ("held", "{held")]
    assert host.throttle.off


class _Failing:
    """In the place of a function of ours: fails at one call, before it does anything."""

    def __init__(self, function, at: int) -> None:
        self.function, self.left = function, at

    def __get__(self, instance, owner=None):
        return lambda *args, **kwargs: self(instance, *args, **kwargs)

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            raise ZeroDivisionError("ours")
        return self.function(*args, **kwargs)


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Held, "add"),
        (Held, "deliveries"),
        (Lookahead, "arrives"),
        (throttle.Reading, "_interrupted"),
        (throttle.Reading, "_deliver"),
        (throttle.Reading, "_abandon"),
        (throttle, "may_complete"),
        (throttle, "_now"),
    ],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_where_ours_fails_every_chunk_comes_once_and_the_end_is_the_hosts(make, monkeypatch, owner, name, at):
    bare, host = make(throttled=False), make()
    failing = _Failing(getattr(owner, name), at)
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    monkeypatch.setattr(owner, name, failing)
    for answer in (WORDS, WORDS + '"}}', "{}, and more of it"):
        for one in (bare, host):
            one.agent.seen = []
        assert host.ask(pieces(answer)) == bare.ask(pieces(answer))
        assert host.text("response") == bare.text("response")
        fulls = [full for _, full in host.deliveries]
        assert fulls == sorted(set(fulls), key=len), "each once, in order"
        assert {full for _, full in bare.deliveries} >= set(fulls)
    assert failing.left > 0 or sum(row["count"] for row in failures.as_rows()) == 1


def test_a_failure_of_ours_after_an_extensions_does_not_hide_it(host, monkeypatch):
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    monkeypatch.setattr(throttle.Reading, "_abandon", _Failing(None, 1))
    host.agent.fails_at = "word word"
    found = host.ask(pieces(WORDS))
    assert (type(found), str(found)) == (ValueError, "an extension")
