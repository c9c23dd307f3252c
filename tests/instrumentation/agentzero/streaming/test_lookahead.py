"""A stream that is asked whether its next item comes in time is the same stream to who reads it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from autoperf.instrumentation.agentzero.streaming.lookahead import Lookahead
from tests.throttle_host import run


class Stream:
    """Items, each after a wait; an exception among them is raised. Knows how far it was read, and its end."""

    name = "a stream"

    def __init__(self, *rows):
        self.rows = rows
        self.read = 0
        self.ended = ""

    async def __aiter__(self):
        try:
            for wait, item in self.rows:
                await asyncio.sleep(wait)
                self.read += 1
                if isinstance(item, Exception):
                    raise item
                yield item
            self.ended = "read"
        except BaseException as error:
            self.ended = type(error).__name__
            raise


def now() -> float:
    return asyncio.get_running_loop().time()


def test_read_without_a_question_it_is_the_stream_itself():
    async def work():
        stream = Lookahead(Stream((1, "a"), (1, "b")))
        assert stream.name == "a stream"
        return [item async for item in stream]

    assert run(work()) == ["a", "b"]


def test_what_comes_in_time_is_read_ahead_and_handed_out_first():
    async def work():
        source = Stream((1, "a"), (1, "b"), (1, "c"))
        stream = Lookahead(source)
        found = []
        async for item in stream:
            found.append((item, now() - 1000))
            if item != "c":
                assert stream.ahead is None
                assert await stream.arrives(now() + 2)
                assert await stream.arrives(now() - 1)  # it is there already
                assert (stream.ahead, source.read) == ({"a": "b", "b": "c"}[item], len(found) + 1)
        return found

    assert run(work()) == [("a", 1), ("b", 2), ("c", 3)]


def test_what_comes_late_is_waited_for_no_longer_and_not_lost():
    async def work():
        stream = Lookahead(Stream((1, "a"), (1, "b"), (1, "c")))
        found = []
        async for item in stream:
            found.append((item, round(now() - 1000, 3)))
            if item == "a":
                assert not await stream.arrives(now() + 0.25)
                assert round(now() - 1000, 3) == 1.25
                assert stream.pending
                turns: list[int] = []
                asyncio.get_running_loop().call_soon(turns.append, 1)
                assert not await stream.arrives(now() - 1)
                assert not turns  # it is answered at once
                assert not await stream.arrives(now() + 0.25)
        return found

    assert run(work()) == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.parametrize("end", [ConnectionError("cut"), None])
def test_an_end_read_ahead_is_the_readers(end):
    async def work():
        stream = Lookahead(Stream((1, "a"), *([(1, end)] if end else [])))
        found = []
        async for item in stream:
            found.append(item)
            assert await stream.arrives(now() + 5)
            assert stream.ahead is None
        return found

    if end is None:
        assert run(work()) == ["a"]
    else:
        with pytest.raises(ConnectionError) as raised:
            run(work())
        assert raised.value is end


@pytest.mark.parametrize("at", [2, 5])  # in the question, and in the wait without one after it
def test_who_is_cancelled_while_it_waits_cancels_the_stream(at):
    source = Stream((1, "a"), (5, "b"))

    async def read():
        stream = Lookahead(source)
        async for _ in stream:
            await stream.arrives(now() + 3)

    async def work():
        task = asyncio.ensure_future(read())
        asyncio.get_running_loop().call_later(at, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return now() - 1000

    assert run(work()) == at
    assert source.ended == "CancelledError"


def test_the_message_of_a_cancellation_arrives():
    async def read():
        stream = Lookahead(Stream((1, "a"), (5, "b")))
        async for _ in stream:
            await stream.arrives(now() + 3)

    async def work():
        task = asyncio.ensure_future(read())
        asyncio.get_running_loop().call_later(2, task.cancel, "because")
        try:
            await task
        except asyncio.CancelledError as error:
            return error.args

    assert run(work()) == ("because",)


def test_a_stream_that_outlives_a_cancellation_goes_on():
    """As under the reader's own ``async for``: what it makes of the cancellation is its answer."""

    async def source():
        yield "a"
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            yield "cancelled"

    async def read():
        stream = Lookahead(source())
        found = []
        async for item in stream:
            found.append(item)
            await stream.arrives(now() + 3)
        return found

    async def work():
        task = asyncio.ensure_future(read())
        asyncio.get_running_loop().call_later(2, task.cancel)
        return await task

    assert run(work()) == ["a", "cancelled"]


def test_a_waiting_step_is_abandoned_as_if_cancelled():
    source = Stream((1, "a"), (5, "b"))

    async def work():
        stream = Lookahead(source)
        async for _ in stream:
            assert not await stream.arrives(now() + 1)
            await stream.abandon()
            assert not stream.pending
            return now() - 1000
        return None

    assert run(work()) == 2
    assert source.ended == "CancelledError"


def test_what_an_abandoned_step_waits_for_is_cancelled_with_it():
    """As a task does: who makes the future that it waits for sees that nobody does any more."""

    async def work():
        waited_for = asyncio.get_running_loop().create_future()

        async def source():
            yield "a"
            with contextlib.suppress(asyncio.CancelledError):
                await waited_for

        stream = Lookahead(source())
        async for _ in stream:
            assert not await stream.arrives(now() + 1)
            await stream.abandon()
            return waited_for.cancelled()
        return None

    assert run(work()) is True


def test_what_an_abandoned_stream_says_in_the_end_is_for_nobody():
    async def source():
        yield "a"
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            yield "last words"

    async def work():
        stream = Lookahead(source())
        async for _ in stream:
            assert not await stream.arrives(now() + 1)
            await stream.abandon()
            return stream.ahead
        return "read on"

    assert run(work()) is None


def test_one_that_will_not_end_is_waited_for_a_second():
    async def source():
        yield "a"
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5)

    async def work():
        stream = Lookahead(source())
        async for _ in stream:
            assert not await stream.arrives(now() + 1)
            with contextlib.suppress(RuntimeError):  # the generator ignores that it is closed
                await stream.abandon()
            assert not stream.pending
            return now() - 1000
        return None

    assert run(work()) == 2


def test_what_yields_to_the_loop_without_a_future_is_let_through():
    class Bare:
        def __await__(self):
            yield
            return "b"

    async def source():
        yield "a"
        yield await Bare()

    async def work():
        stream = Lookahead(source())
        found = []
        async for item in stream:
            found.append(item)
            await stream.arrives(now() + 1)
        return found

    assert run(work()) == ["a", "b"]
