"""When the thread of a pipeline wakes: every second, every few at rest, at once for what ends the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty

import pytest

from autoperf.telemetry.pipeline import RESTING_S, Pipeline

AT_REST = True


class Sleep:
    """In place of the queue that the thread waits at: what it waits for, and what happens meanwhile."""

    def __init__(self, happens: list[Callable[[], None] | None]) -> None:
        self.timeouts: list[float] = []
        self._happens = iter(happens)
        self._put: list[object] = []

    def put(self, request: object) -> None:
        self._put.append(request)

    def get(self, timeout: float) -> object:
        self.timeouts.append(timeout)
        happens = next(self._happens, None)
        if happens is not None:
            happens()
        if self._put:
            return self._put.pop(0)
        raise Empty


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[float], list[str]]]:
    """Run the loop of a pipeline over some sleeps: how long each was to take at most, and what was done."""

    def running(
        rests: Callable[[], bool], happens: list[Callable[[Pipeline[int]], None] | None]
    ) -> tuple[list[float], list[str]]:
        done: list[str] = []
        pipeline: Pipeline[int] = Pipeline(
            "test",
            lambda items: bool(done.append(f"delivered {items}")) or True,
            tick=lambda: done.append("tick"),
            rests=rests,
        )
        calls = [None if one is None else lambda one=one: one(pipeline) for one in happens]
        sleep = Sleep([*calls, lambda: pipeline.order(stop=True)])
        monkeypatch.setattr(pipeline, "_wake", sleep)
        monkeypatch.setattr(pipeline, "_thread", threading.current_thread())
        pipeline._run()
        return sleep.timeouts[:-1], done

    return running


def test_at_work_there_is_a_tick_each_second(run) -> None:
    assert run(lambda: False, [None, None]) == ([1.0, 1.0], ["tick", "tick"])


def test_at_rest_it_is_every_few_seconds(run) -> None:
    assert run(lambda: AT_REST, [None, None]) == ([RESTING_S, RESTING_S], ["tick", "tick"])


def test_what_begins_ends_the_rest_and_is_ticked_for_within_a_second(run) -> None:
    resting = [True]

    def begins(pipeline: Pipeline[int]) -> None:
        resting[0] = False
        pipeline.wake()
        pipeline.wake()

    assert run(lambda: resting[0], [begins, None]) == ([RESTING_S, 1.0], ["tick"])


def test_an_item_ends_the_rest_and_is_delivered_within_a_second(run) -> None:
    timeouts, done = run(lambda: AT_REST, [lambda pipeline: pipeline.put(7), None, None])
    assert timeouts == [RESTING_S, 1.0, RESTING_S]
    assert done == ["delivered [7]", "tick", "tick"]


def test_while_something_waits_there_is_no_rest(run) -> None:
    timeouts, _ = run(
        lambda: AT_REST, [lambda pipeline: pipeline.put(7), lambda pipeline: pipeline.put(8), None]
    )
    assert timeouts == [RESTING_S, 1.0, RESTING_S], "both are delivered after the second sleep"


def test_what_begins_while_it_falls_asleep_is_not_slept_over(run) -> None:
    asked: list[Pipeline[int]] = []

    def rests() -> bool:
        if asked:
            asked.pop().wake()  # between the question and the sleep
        return True

    def remember(pipeline: Pipeline[int]) -> None:
        asked.append(pipeline)

    timeouts, done = run(rests, [remember, None, None])
    assert timeouts == [RESTING_S, RESTING_S, RESTING_S]
    assert done == ["tick", "tick"], "the second sleep ended at once"


def test_whoever_cannot_tell_does_not_rest(run, fail_open) -> None:
    def broken() -> bool:
        raise OSError

    assert run(broken, [None]) == ([1.0], ["tick"])


def test_at_work_wake_costs_nothing() -> None:
    pipeline: Pipeline[int] = Pipeline("test", lambda _: True)
    pipeline.wake()
    assert pipeline._wake.empty()
