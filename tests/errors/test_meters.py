"""What our own code takes: timed around the host's code in one call of N, and what that says of all."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from autoperf.errors import emptyfences, failures
from autoperf.errors import meters as module
from autoperf.errors.around import SKIP, Around
from autoperf.errors.fence import MISS, Shortcut, method
from autoperf.errors.meters import Meter, meters
from autoperf.patching.patch import Bound, Switch, replacement

SEAM = "a seam of this test"
BEFORE, AFTER, HOST = 3_000, 5_000, 1_000_000


class Clock:
    """Nanoseconds that pass only where the test says so, but for 10 at each look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 10
        return self.now

    def pass_by(self, ns: int) -> None:
        self.now += ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(module, "clock", made)
    monkeypatch.setattr(module, "empty_fences", {})
    meters.of(SEAM).restart()
    yield made
    meters.of(SEAM).restart()


class Host:
    """Functions that count how often they run."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ran = 0

    def plain(self, fails: bool = False) -> str:
        self.ran += 1
        self.clock.pass_by(HOST)
        if fails:
            raise ValueError("the host's")
        return "done"

    async def coroutine(self, fails: bool = False) -> str:
        await asyncio.sleep(0)
        return self.plain(fails)


def synchronous(clock: Clock) -> Callable[..., Any]:
    def wrapper(call: Any, /, *args: Any) -> Any:
        clock.pass_by(BEFORE)
        try:
            return call(*args)
        finally:
            clock.pass_by(AFTER)

    return wrapper


def asynchronous(clock: Clock) -> Callable[..., Any]:
    async def wrapper(call: Any, /, *args: Any) -> Any:
        clock.pass_by(BEFORE)
        try:
            return await call(*args)
        finally:
            clock.pass_by(AFTER)

    return wrapper


class Ends:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def end(self, error: BaseException | None) -> None:
        self.clock.pass_by(AFTER)


def around(clock: Clock) -> Around:
    def before(*_args: Any) -> Ends:
        clock.pass_by(BEFORE)
        return Ends(clock)

    return Around(before)


def missing(clock: Clock) -> Shortcut:
    def find(*_args: Any) -> Any:
        clock.pass_by(BEFORE + AFTER)
        return MISS

    return Shortcut(find)


SHAPES: dict[str, tuple[str, Callable[[Clock], Any]]] = {
    "wrapper": ("plain", synchronous),
    "coroutine": ("coroutine", asynchronous),
    "around": ("plain", around),
    "around a coroutine": ("coroutine", around),
    "shortcut": ("plain", missing),
    "shortcut of a coroutine": ("coroutine", missing),
    "bound": ("plain", lambda clock: Bound(lambda call, _, args, __: synchronous(clock)(call, *args))),
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_ours_is_timed_and_what_is_the_hosts_is_not(clock: Clock, shape: str, fails: bool) -> None:
    name, build = SHAPES[shape]
    host = Host(clock)
    patched = replacement(getattr(host, name), lambda *_: build(clock), Switch(), SEAM)

    def once() -> None:
        result = patched(fails)
        if name == "coroutine":
            asyncio.run(result)

    for _ in range(3):
        if fails:
            with pytest.raises(ValueError, match="the host's"):
                once()
        else:
            once()
    assert host.ran == 3, "timed or not, the host's code runs once a call"
    seconds, _ = meters.of(SEAM).seconds()
    # Each of them is timed at first; a look at the clock that is between two others is in none.
    assert seconds == pytest.approx(3 * (BEFORE + AFTER) / 1e9, rel=0.02)


def test_a_method_that_stands_in_is_timed(clock: Clock) -> None:
    host = Host(clock)
    stands_in = method(SEAM, lambda _self: host.plain, lambda call, _self: synchronous(clock)(call))
    assert stands_in(object()) == "done"
    assert meters.of(SEAM).seconds()[0] == pytest.approx((BEFORE + AFTER) / 1e9, rel=0.02)


def test_a_point_without_work_is_timed_and_the_host_not_called(clock: Clock) -> None:
    host = Host(clock)

    def before() -> Any:
        clock.pass_by(BEFORE)
        return SKIP

    patched = replacement(host.plain, lambda *_: Around(before), Switch(), SEAM)
    assert patched() is None
    assert host.ran == 0
    assert meters.of(SEAM).seconds()[0] == pytest.approx(BEFORE / 1e9, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_fence_itself_takes_is_told_by_an_empty_one(
    clock: Clock, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence, (name, build) = 700_000, SHAPES[shape]
    for kind in (module.LIGHT, module.FULL, module.ASYNC):
        monkeypatch.setitem(module.empty_fences, kind, lambda: clock.pass_by(fence))
    patched = replacement(getattr(Host(clock), name), lambda *_: build(clock), Switch(), SEAM)
    for _ in range(3):
        asyncio.run(patched()) if name == "coroutine" else patched()
    assert meters.of(SEAM).seconds()[0] == pytest.approx(3 * (fence + BEFORE + AFTER) / 1e9, rel=0.01)


def test_an_empty_fence_is_called_and_never_timed() -> None:
    emptyfences.make()
    for kind in (module.LIGHT, module.FULL, module.ASYNC):
        assert module.fence_ns(kind) >= 0
    assert meters.of(module.EMPTY).timed == 0
    meters.restart()
    module.fence_ns(module.FULL)
    assert meters.of(module.EMPTY).timed == 0


def test_a_call_that_goes_on_in_another_thread_is_left_out(clock: Clock) -> None:
    coroutine = replacement(Host(clock).coroutine, lambda *_: asynchronous(clock), Switch(), SEAM)()
    coroutine.send(None)  # up to the host's own pause

    def finish() -> None:
        with pytest.raises(StopIteration):
            coroutine.send(None)

    thread = threading.Thread(target=finish)
    thread.start()
    thread.join()
    assert meters.of(SEAM).timed == 0


def test_few_of_many_calls_are_timed_and_all_are_counted(clock: Clock) -> None:
    host = Host(clock)
    patched = replacement(host.plain, lambda *_: synchronous(clock), Switch(), SEAM)
    for number in (1, 10, 32, 100, 1_000, 20_000):
        while host.ran < number:
            patched()
        meter = meters.of(SEAM)
        assert meter.calls == number
        assert meter.seconds()[0] == pytest.approx(number * (BEFORE + AFTER) / 1e9, rel=0.02)
    assert meter.timed < 20_000 / 30
    assert meter.seconds()[1] == pytest.approx(0, abs=1e-6), "all took the same"


def test_the_uncertainty_covers_what_the_sample_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of very different length, in a rhythm: 19 of 20 estimates lie within what is said of them."""
    clock = Clock()
    monkeypatch.setattr(module, "clock", clock)
    lengths = random.Random(7)
    within = 0
    for run in range(60):
        meter, took = Meter("one"), 0
        meter._state = run
        for number in range(3_000):
            ns = 50_000 if number % 8 == 0 else lengths.randrange(1_000, 3_000)
            took += ns
            meter.left -= 1
            if meter.left < 0:
                meter.run(clock.pass_by, (ns,), {})
        seconds, error = meter.seconds()
        assert 0 < error < 0.9 * took / 1e9
        within += abs(seconds - took / 1e9) <= error
    assert within >= 54


def test_another_start_begins_anew(clock: Clock) -> None:
    patched = replacement(Host(clock).plain, lambda *_: synchronous(clock), Switch(), SEAM)
    for _ in range(40):
        patched()
    meters.thread()
    meters.restart()
    row = meters.as_row()
    assert [one for one in row["seams"] if one["seam"] == SEAM] == []
    assert row["threads"] == {}
    patched()
    assert [one["calls"] for one in meters.as_row()["seams"] if one["seam"] == SEAM] == [1]


def test_our_threads_are_told_by_their_own_clocks() -> None:
    meters.restart()

    def work() -> None:
        sum(range(200_000))
        meters.thread(ends=True)

    def twice() -> float:
        thread = threading.Thread(target=work, name="autoperf-test")
        thread.start()
        thread.join()
        return float(meters.as_row()["threads"]["autoperf-test"])

    first = twice()
    assert first > 0
    assert twice() > first, "a thread that is made again goes on counting"
    meters.restart()


@pytest.mark.usefixtures("fail_open")
@pytest.mark.parametrize("part", ["add", "_draw"])
@pytest.mark.parametrize("kind", ["light", "full", "async"])
def test_a_meter_that_fails_costs_neither_the_call_nor_its_end(
    monkeypatch: pytest.MonkeyPatch, part: str, kind: str
) -> None:
    ended: list[BaseException | None] = []

    class Begun:
        def end(self, error: BaseException | None) -> None:
            ended.append(error)

    async def host() -> str:
        return "done"

    def plain() -> str:
        return "done"

    async def passing(call: Any) -> Any:
        return await call()

    def fails(*_: Any) -> None:
        raise ValueError("ours")

    wrapper = {"light": Around(lambda: Begun()), "full": lambda call: call(), "async": passing}[kind]
    function = replacement(host if kind == "async" else plain, lambda *_: wrapper, Switch(), "a seam")
    meters.of("a seam").restart()
    monkeypatch.setattr(Meter, part, fails)
    result = function()
    assert (asyncio.run(result) if kind == "async" else result) == "done"
    if part == "add":
        assert ended == ([None] if kind == "light" else [])
    assert failures.as_rows()
