"""When a stalled loop is looked at, and which look belongs to which stall, by a clock moved by hand."""

from __future__ import annotations

import sys
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from autoperf.monitor import stalls as module
from autoperf.monitor.stalls import Busy, Stalls

THREAD = 7


class Hand:
    """One loop whose selector returns at once, and the stalls that watch it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.looks = 0
        self.frame: FrameType | None = None
        monkeypatch.setattr(module, "sys", SimpleNamespace(_current_frames=self.frames))
        self.loop = SimpleLoop()
        self.stalls = Stalls("/a0", None, lambda: self.now, lambda: 5000.0 + self.now)
        self.busy = Busy(self.loop, None, THREAD, lambda: self.now)
        self.stalls._loops[1] = self.busy

    def frames(self) -> dict[int, FrameType]:
        self.looks += 1
        return {} if self.frame is None else {THREAD: self.frame}

    def turn(self) -> None:
        """The loop goes to sleep and wakes at once."""
        self.loop._selector.select(0)

    def watched(self, seconds: float, every: float) -> None:
        for _ in range(round(seconds / every)):
            self.now += every
            assert self.stalls.watch() == []


class Selector:
    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class SimpleLoop:
    def __init__(self) -> None:
        self._selector = Selector()

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


def frame_in(path: str, name: str) -> FrameType:
    """A frame of a function of that name in a file of that path."""
    space: dict[str, Any] = {"here": sys._getframe}
    exec(compile(f"def {name}():\n    return here()\nfound = {name}()", path, "exec"), space)
    found: FrameType = space["found"]
    return found


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    made = Hand(monkeypatch)
    made.turn()
    return made


def test_a_quarter_of_a_second_is_a_stall_and_less_is_none(hand: Hand) -> None:
    for busy, stalls in ((0.249, 0), (0.25, 1), (3.0, 1)):
        hand.now += busy
        hand.turn()
        ended = hand.stalls.watch()
        assert len(ended) == stalls
        assert [one.at for one in ended] == [pytest.approx(5000.0 + hand.now - busy)] * stalls


def test_it_is_looked_at_from_a_tenth_on_ever_more_seldom_and_twelve_times_at_most(hand: Hand) -> None:
    tick = 1 / 64
    hand.watched(6 * tick, tick)
    assert hand.looks == 0
    hand.watched(tick, tick)
    assert hand.looks == 1
    hand.watched(23 * tick, tick)  # after 7, 11, 17 and 26 ticks: each time half as late again
    assert hand.looks == 4
    hand.frame = frame_in("/a0/agent.py", "blocks")
    hand.watched(1000.0, 0.5)
    assert hand.looks == 12
    (lasting,) = hand.stalls.lasting
    assert lasting.seconds == pytest.approx(1000 + 30 * tick)
    hand.turn()
    (ended,) = hand.stalls.watch()
    assert ended.stack[-1].endswith(" blocks")
    assert hand.stalls.lasting == []


def test_a_time_without_a_break_that_still_lasts_counts_as_lag(hand: Hand) -> None:
    hand.now += 0.2
    hand.turn()
    hand.now += 0.05
    assert hand.stalls.lags() == {"?": 0.2}
    hand.now += 0.1
    assert hand.stalls.lags() == {"?": 0.15}


def test_each_stall_has_its_own_stack(hand: Hand) -> None:
    for name in ("first", "second"):
        hand.frame = frame_in("/a0/agent.py", name)
        hand.watched(0.3, 0.1)
        hand.turn()
        (ended,) = hand.stalls.watch()
        assert ended.stack[-1].endswith(f" {name}")
    hand.now += 0.5
    hand.turn()
    (unseen,) = hand.stalls.watch()
    assert (unseen.stack, unseen.inside) == ((), ""), "nobody looked at this one"


def test_where_it_was_most_often_is_told(hand: Hand) -> None:
    often, once = (frame_in("/a0/agent.py", name) for name in ("often", "once"))
    for frame in (once, often, often, often):
        hand.frame = frame
        hand.watched(1.0, 1.0)
    hand.turn()
    (ended,) = hand.stalls.watch()
    assert ended.stack[-1].endswith(" often")


def test_a_loop_that_went_on_meanwhile_is_not_looked_at(hand: Hand) -> None:
    hand.now += 10.0
    moments = iter([hand.now])

    def clock() -> float:
        hand.busy.awake_since = next(moments)  # between the two readings it slept and woke
        return hand.now

    hand.stalls._clock = clock
    assert hand.stalls.watch() == []
    assert (hand.looks, hand.stalls.lasting) == (0, [])


def test_so_many_loops_are_watched_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONG_LIVED_S", 0.0)
    monkeypatch.setattr(module, "_LOOPS_KEPT", 2)
    loops = [SimpleLoop() for _ in range(3)]
    monkeypatch.setattr(module, "_running", lambda: iter(enumerate(loops)))
    stalls = Stalls("/a0")
    stalls.discover()
    assert ["select" in vars(loop._selector) for loop in loops] == [True, True, False]
    stalls.release()
    assert ["select" in vars(loop._selector) for loop in loops] == [False] * 3
