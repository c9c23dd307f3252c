"""The time of one awaited call: every moment in one place, and the call as without us."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
import traceback
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.errors.frames import without_ours
from autoperf.instrumentation.agentzero.tracing import call_time
from autoperf.instrumentation.agentzero.tracing.call_time import CALLBACK, CLIENT, HOST, CallTime, timed

Outcome = tuple[Any, ...]


class Hand:
    """A clock, and the CPU clock of a thread, both moved by hand."""

    def __init__(self) -> None:
        self.wall = self.cpu = 100.0

    def moves(self, wall: float, cpu: float = 0.0) -> None:
        self.wall += wall
        self.cpu += cpu


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(call_time, "_clock", lambda: hand.wall)
    monkeypatch.setattr(call_time, "_cpu", lambda: hand.cpu)
    return hand


def test_each_moment_is_work_or_suspension_of_what_went_on(hand: Hand) -> None:
    spent = CallTime()

    async def call() -> str:
        hand.moves(1, 0.5)
        spent.worked(CLIENT)
        hand.moves(2, 1.5)
        await asyncio.sleep(0)  # the loop's turn: see below
        hand.moves(4, 4)
        spent.worked(CALLBACK)
        hand.moves(8, 7)
        await asyncio.sleep(0)
        spent.worked(CLIENT)
        return "done"

    async def beside() -> None:
        hand.moves(100, 10)
        await asyncio.sleep(0)
        hand.moves(200, 20)

    async def both() -> str:
        other = asyncio.ensure_future(beside())
        found = await timed(call(), spent)
        spent.worked(spent.phase)
        await other
        return found

    assert asyncio.run(both()) == "done"
    assert (spent.active, spent.active_cpu) == ([1, 6, 8], [0.5, 5.5, 7])
    assert (spent.apart, spent.apart_cpu) == ([0, 100, 200], [0, 10, 20])
    assert (HOST, CLIENT, CALLBACK) == (0, 1, 2)


def test_by_the_real_clocks_sleeping_is_waiting_and_work_is_work() -> None:
    spent = CallTime()

    async def call() -> None:
        spent.worked(CLIENT)
        await asyncio.sleep(0.05)
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
        spent.worked(HOST)

    asyncio.run(timed_in_task(call(), spent))
    assert spent.apart[CLIENT] - spent.apart_cpu[CLIENT] >= 0.03
    assert spent.active[CLIENT] >= spent.active_cpu[CLIENT] * 0.9 >= 0.04
    assert spent.active_cpu[CLIENT] < 0.2


async def timed_in_task(call: Coroutine[Any, Any, Any], spent: CallTime) -> Any:
    return await timed(call, spent)


async def plain(call: Coroutine[Any, Any, Any]) -> Any:
    return await call


async def ours(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await timed(call, CallTime())
    except BaseException as error:
        error.__traceback__ = without_ours(error.__traceback__)  # as the fence does
        raise


class Bare:
    """An awaitable that hands to its caller what it is made with, and back what it is sent."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        return (yield self.value)


async def talks(log: list[Any]) -> str:
    log.append(await Bare("first"))
    try:
        log.append(await Bare("second"))
    except KeyError as error:
        log.append([repr(error), frames(error), repr(error.__context__), repr(sys.exc_info()[1])])
        log.append(await Bare("third"))
    except GeneratorExit as error:
        log.append(["closed", frames(error), repr(error.__context__)])
        raise
    finally:
        log.append(("finally", repr(sys.exc_info()[0])))
    return "returned"


def frames(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def thrown_in() -> KeyError:
    """An exception that has been raised before: its traceback is kept."""
    try:
        raise KeyError("x")
    except KeyError as error:
        return error


def sends(call: Any) -> Outcome:
    return call.send(None), call.send(1)


def throws(call: Any) -> Outcome:
    return call.send(None), call.send(1), call.throw(thrown_in()), ends(lambda: call.send(2))


def throws_what_passes(call: Any) -> Outcome:
    return call.send(None), call.send(1), ends(lambda: call.throw(ValueError("y")))


def closes(call: Any) -> Outcome:
    return call.send(None), call.send(1), call.close()


def throws_an_exit(call: Any) -> Outcome:
    return call.send(None), call.send(1), ends(lambda: call.throw(GeneratorExit()))


def is_dropped(call: Any) -> Outcome:
    return call.send(None), call.send(1)


def ends(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except BaseException as error:
        inner = [name for name in frames(error) if name not in ("ends", "<lambda>", "plain", "ours")]
        return type(error).__name__, str(error), getattr(error, "value", None), inner


@pytest.mark.parametrize("does", [sends, throws, throws_what_passes, closes, throws_an_exit, is_dropped])
def test_sent_thrown_in_and_closed_it_is_as_an_await(does: Callable[[Any], Outcome]) -> None:
    def played(around: Callable[[Any], Awaitable[Any]]) -> Outcome:
        log: list[Any] = []
        call = around(talks(log))
        found = does(call)
        del call
        gc.collect()
        return found, log

    assert played(ours) == played(plain)


def test_a_cancelled_call_is_cancelled_inside_and_may_go_on() -> None:
    async def resists(log: list[str]) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            await asyncio.sleep(0)
        return "went on"

    async def cancels(around: Callable[[Any], Coroutine[Any, Any, Any]]) -> Outcome:
        log: list[str] = []
        task = asyncio.ensure_future(around(resists(log)))
        await asyncio.sleep(0)
        task.cancel()
        return await task, log

    assert asyncio.run(cancels(ours)) == asyncio.run(cancels(plain)) == ("went on", ["cancelled"])


def test_an_exception_that_was_thrown_in_is_not_kept() -> None:
    class Gone(Exception):  # noqa: N818 - it is to go
        pass

    async def swallows() -> None:
        for _ in range(2):
            with contextlib.suppress(Gone):
                await Bare(None)

    call: Any = ours(swallows())
    call.send(None)
    error = Gone()
    gone = weakref.ref(error)
    call.throw(error)
    del error
    assert gone() is None
    call.close()


@pytest.mark.parametrize("method", ["worked", "waited"])
def test_a_failure_of_ours_leaves_the_call_alone_and_the_numbers_untold(
    method: str, monkeypatch: pytest.MonkeyPatch, fail_open: None
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(CallTime, method, fails)
    spent = CallTime()
    before = failures.of("model streams")

    async def call() -> str:
        await asyncio.sleep(0)
        return "done"

    assert asyncio.run(timed_in_task(call(), spent)) == "done"
    assert failures.of("model streams") == before + 1
    assert spent.lost
