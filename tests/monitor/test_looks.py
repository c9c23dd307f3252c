"""When a stalled loop is looked at, and which look belongs to which stall, by a clock moved by hand."""

from __future__ import annotations

import sys
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from autoperf.monitor import looks, loops
from autoperf.monitor import stalls as module
from autoperf.monitor.causes import Measured
from autoperf.monitor.looks import Look
from autoperf.monitor.loops import Busy
from autoperf.monitor.stalls import Stalls
from autoperf.monitor.threads import Snapshot, Usage

THREAD = 7


class Hand:
    """One loop whose selector returns at once, and the stalls that watch it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.looks = 0
        self.frame: FrameType | None = None
        seen = SimpleNamespace(_current_frames=self.frames, getswitchinterval=sys.getswitchinterval)
        monkeypatch.setattr(module, "sys", seen)
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
    moments = iter([0.0, hand.now])

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
    monkeypatch.setattr(module, "running", lambda: iter(enumerate(loops)))
    stalls = Stalls("/a0")
    stalls.discover()
    assert ["select" in vars(loop._selector) for loop in loops] == [True, True, False]
    stalls.release()
    assert ["select" in vars(loop._selector) for loop in loops] == [False] * 3


def called(path: str, *names: str) -> FrameType:
    """The frame of the last of these functions, which call each other in a file of that path."""
    space: dict[str, Any] = {"here": sys._getframe}
    text = "".join(
        f"def {name}():\n    return {inner}()\n"
        for name, inner in zip(names, [*names[1:], "here"], strict=True)
    )
    exec(compile(f"{text}found = {names[0]}()", path, "exec"), space)
    found: FrameType = space["found"]
    return found


def test_the_lines_of_one_function_count_together(hand: Hand) -> None:
    look = Look(0.0, None)
    look.note_stack(frame_in("/a0/once.py", "once"), "/a0/", None)
    look.note_stack(frame_in("/a0/once.py", "once"), "/a0/", None)
    for lines in range(3):
        space: dict[str, Any] = {"here": sys._getframe}
        exec(
            compile("\n" * lines + "def busy():\n    return here()\nfound = busy()", "/a0/b.py", "exec"),
            space,
        )
        look.note_stack(space["found"], "/a0/", None)
    assert look.where()[0][-1].endswith(" busy")
    assert look.places()[0] == ("once.py:2 once", 2), "each line as it was seen"


def test_a_loop_that_goes_to_sleep_is_in_no_place_that_stalled() -> None:
    look = Look(0.0, None)
    look.note_stack(called("/lib/asyncio/base_events.py", "run_forever", "_run_once"), "/a0/", None)
    assert look.stacks.total() == 1, "between two callbacks"
    space: dict[str, Any] = {"here": sys._getframe}
    exec(compile("def select():\n    return here()", "/lib/selectors.py", "exec"), space)
    exec(
        compile("def _run_once():\n    return select()\nfound = _run_once()", "/lib/base_events.py", "exec"),
        space,
    )
    look.note_stack(space["found"], "/a0/", None)
    assert look.stacks.total() == 1
    exec(compile("def waits():\n    return select()\nfound = waits()", "/a0/agent.py", "exec"), space)
    look.note_stack(space["found"], "/a0/", None)
    assert (("agent.py:3 <module>", "agent.py:2 waits"), "?.select") in look.stacks, (
        "a selector of the host's"
    )


OTHER, SLEEPER, GONE = 21, 22, 23


def test_who_ran_instead_is_told_with_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [SimpleNamespace(ident=OTHER, _name="indexer"), SimpleNamespace(ident=SLEEPER, _name="pool")]
    monkeypatch.setattr(looks.threading, "enumerate", lambda: named)
    frames = {
        OTHER: frame_in("/a0/index.py", "crunch"),
        SLEEPER: frame_in("/lib/queue.py", "get"),
        THREAD: frame_in("/a0/agent.py", "mark_dirty"),
    }
    look = Look(10.0, Snapshot(9.9, 5.0, {OTHER: 0, SLEEPER: 0, THREAD: 0, 99: 0}))
    for at, cpu in ((10.5, 400_000_000), (11.0, 900_000_000)):
        now = Snapshot(
            at, 5.0 + cpu / 1e9 + 0.2, {OTHER: cpu, SLEEPER: 1_000_000, THREAD: 20_000_000, GONE: 100_000_000}
        )
        look.note_others(now, frames, THREAD, "/a0/")
    ran = look.ran()
    assert ran[0] == ("indexer", "index.py:2 crunch", pytest.approx(0.9), False)
    assert ran[1] == ("pool", "?.get", pytest.approx(0.001), True)
    assert len(ran) == 2, "the loop's own thread did not run instead of itself"
    # Of the one that has no frame any more, and of threads that are not Python's.
    assert (look.process, look.unknown) == (pytest.approx(1.1), pytest.approx(0.179))
    look.judge(Measured(1.0, cpu=0.02, waits=190), 0.005)
    assert (look.cause, look.holder) == ("lock", "indexer in index.py:2 crunch")
    assert look.measured == {"cpu": 0.02, "waits": 190}


def test_a_counter_that_was_read_from_within_a_stall_is_taken_to_have_grown_alike() -> None:
    look = Look(10.0, None)
    look.counted = {"delayed": (9.9, 1.0), "stolen": (10.5, 3.0), "throttled": (10.98, 0.0)}
    now = {"delayed": 1.6, "stolen": 3.2, "throttled": 0.01, "other": 5.0}
    grown = look.grown(11.0, now)
    assert grown["delayed"] == pytest.approx(0.6)
    assert grown["stolen"] == pytest.approx(0.4), "0.2 s in half of the time"
    assert grown["throttled"] is None, "too short a time"
    assert grown["other"] is None
    assert look.grown(11.0, {"delayed": 9.0})["delayed"] == pytest.approx(1.0), "no more than the stall"


@pytest.mark.parametrize(("asked", "key", "other"), [(60, "held", "stood"), (3, "stood", "held")])
def test_the_monitor_itself_tells_the_lock_from_the_machine(
    hand: Hand, monkeypatch: pytest.MonkeyPatch, asked: int, key: str, other: str
) -> None:
    waits = iter([100, 100 + asked])
    monkeypatch.setattr(module, "own_usage", lambda: Usage(1.0, 0.0, next(waits), 0, 0))
    hand.stalls.watch(0.0)
    hand.turn()
    hand.now += 0.7
    hand.turn()
    (ended,) = hand.stalls.watch(0.5)
    assert ended.measured[key] == pytest.approx(0.5)
    assert ended.measured[other] == 0.0


def test_at_rest_nothing_is_read_unless_a_loop_stalls(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    for where, name in ((module, "snapshot"), (module, "own_usage"), (module, "usage_of"), (loops, "delay")):
        monkeypatch.setattr(where, name, lambda *_, name=name: read.append(name))
    hand.watched(0.09, 0.03)
    for _ in range(20):
        hand.turn()
        hand.now += 0.05
        assert hand.stalls.watch() == []
    assert read == []
    hand.stalls.watch(0.0)
    assert read == ["own_usage", "snapshot", "delay"]


def test_the_loops_thread_reads_what_it_used_once_in_eight_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    now = [100.0]

    def own_usage() -> Usage:
        read.append(1)
        return Usage(now[0], 0.0, 1, 0, 0)

    monkeypatch.setattr(loops, "own_usage", own_usage)
    loop = SimpleLoop()
    busy = Busy(loop, None, THREAD, lambda: now[0])
    for _ in range(80):
        loop._selector.select(0)
    assert len(read) == 10
    now[0] += 0.005
    loop._selector.select(0)
    assert busy.before is not None
    assert busy.before.cpu == pytest.approx(100.005), "after as much work as 5 ms at once"
    now[0] += 0.25
    loop._selector.select(0)
    (over,) = busy.over
    assert (over.before.cpu, over.after.cpu) == (pytest.approx(100.005), pytest.approx(100.255))


def test_a_system_that_counts_no_waits_accuses_nobody(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (module, loops):
        monkeypatch.setattr(where, "own_usage", lambda: Usage(1.0, 0.0, 0, 0, 0))
    hand.stalls.watch(0.0)
    for _ in range(8):
        hand.turn()
    hand.now += 0.7
    hand.turn()
    (ended,) = hand.stalls.watch(0.0)
    assert (ended.cause, ended.measured["cpu"], "waits" in ended.measured) == ("", 0.0, False)


def test_a_stall_is_told_without_a_cause_where_that_cannot_be_found(
    hand: Hand, monkeypatch: pytest.MonkeyPatch, fail_open: None
) -> None:
    def fails(*_: Any) -> None:
        raise OSError("not now")

    monkeypatch.setattr(module, "snapshot", fails)
    monkeypatch.setattr(module, "usage_of", fails)
    hand.frame = frame_in("/a0/agent.py", "blocks")
    hand.watched(0.7, 0.35)
    hand.turn()
    (ended,) = hand.stalls.watch()
    assert (ended.stack[-1].partition(" ")[2], ended.cause, ended.seconds) == ("blocks", "", 0.7)
