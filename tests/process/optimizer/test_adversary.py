"""The worst that a prompt can make of `performance_optimizer`: all actions, in a loop, with any arguments."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoperf.cli.views.status import snapshot
from autoperf.errors import failures
from autoperf.instrumentation.agentzero.tool import ACTIONS, Call
from autoperf.process.optimizer import LINES, Action, Optimizer, overview
from autoperf.process.optimizer.allowance import CALLS, HOUR_S, OF_ONE, SECONDS
from autoperf.process.optimizer.monitor import STARTED_S, STOPPED_S, Monitoring
from autoperf.process.runtime import Runtime
from tests.process.optimizer.test_optimizer import Asking, ask, made

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
EXTREME = (
    None, "", 0, -1, 1e308, 10**5000, float("nan"), float("inf"), "1e999", "-5", True, "9" * 1_000_000,
    "[" * 100_000, '["a"' * 1000, DEEP, {"a": DEEP}, ["x"] * 100_000, "a," * 100_000, "\x1b[2J\n\n\nowned",
    "../../../etc/passwd", "all", "tools", ["tools", None, 3], "é" * 5000, "a\x00b", "1", "0.5",
)  # fmt: skip
ARGUMENTS = ("which", "tools", "interval", "hours", "seconds", "undo")
BOUNDED = ("optimize", "undo", "start_monitoring", "stop_monitoring", "clear_cache", "preload", "profile")


class Ticks:
    """A clock that goes on by ``step`` whenever it is read, so that every call takes as long."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1000.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Runtime]:
    process = made("v0_9_8", tmp_path / "state")
    yield process
    process.monitor.stop()
    for work in process.probe.at_stop:
        work()


def counting(optimizer: Optimizer) -> Counter[str]:
    """How often each action has really run."""
    ran: Counter[str] = Counter()

    def counted(name: str, run: Callable[..., str]) -> Callable[..., str]:
        def work(call: Any) -> str:
            ran[name] += 1
            return run(call)

        return work

    for name, action in optimizer.actions.items():
        optimizer.actions[name] = replace(action, run=counted(name, action.run))
    return ran


def attack(optimizer: Optimizer, rounds: int) -> None:
    values = itertools.cycle(EXTREME)
    for _ in range(rounds):
        for action in ACTIONS:
            value = next(values)
            answer = optimizer.answer(ask(action, **dict.fromkeys(ARGUMENTS, value)))
            lines = answer.split("\n")
            assert len(lines) <= LINES
            assert max(map(len, lines)) <= 1000
            assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("step", [0.001, 0.1])
def test_a_loop_over_all_actions_comes_to_an_end(process: Runtime, step: float, tmp_path: Path) -> None:
    ticks = Ticks(step)
    optimizer = Optimizer(process, ticks)
    ran = counting(optimizer)
    attack(optimizer, 120)
    assert set(ran) == set(ACTIONS), "each had its turn"
    assert {name: ran[name] for name in BOUNDED if ran[name] > OF_ONE} == {}
    assert ran.total() <= CALLS
    use = process.snapshot()["optimizer"]
    assert use["calls"] == ran.total()
    assert use["seconds"] <= SECONDS + step
    assert use["refused"] == 120 * len(ACTIONS) - ran.total()
    before = ran.total()
    attack(optimizer, 5)
    assert ran.total() == before, "all of it is refused"
    ticks.now += HOUR_S
    attack(optimizer, 1)
    assert ran.total() >= before + len(ACTIONS), "an hour later there is more"
    assert failures.as_rows() == []
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"report.html"}


def test_actions_that_a_model_gives_any_shape(process: Runtime) -> None:
    optimizer = Optimizer(process)
    for value in EXTREME:
        for call in (Call(Asking(value), {}), Call(Asking(), {"action": value}), ask("status", other=value)):
            assert len(optimizer.answer(call)) < 5000
            assert len(call.action) <= 100


def test_read_only_changes_nothing_whatever_is_asked(tmp_path: Path) -> None:
    process = made("v0_9_8", tmp_path / "state", tool="read-only")
    dropped: list[int] = []
    process.probe.clears("texts", lambda: dropped.append(1) or 1)
    options = process.config
    optimizer = Optimizer(process, Ticks(0.0))
    ran = counting(optimizer)
    attack(optimizer, 30)
    for work in process.probe.at_stop:
        work()
    assert set(ran) == {"status", "recommendations", "benchmark", "profile", "history", "report"}
    assert not dropped
    assert not process.monitor.running
    assert process.config is options


def test_a_second_call_at_the_same_time_is_refused(process: Runtime) -> None:
    optimizer = Optimizer(process)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: Any) -> str:
        begun.set()
        return str(go_on.wait(20))

    optimizer.actions["report"] = Action(slow, "")
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(optimizer.answer(ask("report"))))
    thread.start()
    assert begun.wait(20)
    assert optimizer.answer(ask("status")) == (
        "`status` is refused: another call of this tool is at work; one at a time."
    )
    go_on.set()
    thread.join(20)
    assert answers == ["True"]
    assert "is refused" not in optimizer.answer(ask("status"))


def test_what_is_exhausted_and_when_there_is_more_is_told(process: Runtime) -> None:
    ticks = Ticks(0.0)
    optimizer = Optimizer(process, ticks)
    for _ in range(OF_ONE):
        assert optimizer.answer(ask("clear_cache")).startswith("Nothing was kept")
        ticks.now += 60
    assert optimizer.answer(ask("clear_cache")) == (
        "`clear_cache` is refused: 6 times within an hour are allowed; again in 54 min."
    )
    assert "is refused" not in optimizer.answer(ask("status"))
    ticks.now += HOUR_S
    assert optimizer.answer(ask("clear_cache")).startswith("Nothing was kept")


def test_an_action_that_fails_is_counted_too(process: Runtime, fail_open: None) -> None:
    optimizer = Optimizer(process)
    optimizer.actions["clear_cache"] = replace(optimizer.actions["clear_cache"], run=lambda call: str(1 / 0))
    answers = [optimizer.answer(ask("clear_cache")) for _ in range(OF_ONE + 1)]
    assert "failed: ZeroDivisionError" in answers[0]
    assert "is refused" in answers[-1]


@pytest.mark.parametrize("configured", [True, False])
def test_the_monitor_comes_back_as_it_was_configured(configured: bool, tmp_path: Path) -> None:
    features = frozenset({"tools", "monitor"} if configured else {"tools"})
    process = made("v0_9_8", tmp_path, features=features, monitor_interval=7.0)
    now = [1000.0]
    monitoring = Monitoring(process, lambda: now[0])
    if configured:
        process.monitor.start()
    for act, seconds in ((monitoring.stop, STOPPED_S), (monitoring.start, STARTED_S)):
        act(ask("", interval=0.5))
        now[0] += seconds - 1
        for work in process.probe.idle_work:
            work()
        assert process.monitor.running == (act == monitoring.start), "not yet"
        now[0] += 2
        for work in process.probe.idle_work:
            work()
        assert (process.monitor.running, process.monitor.interval) == (configured, 7.0)
        assert process.probe.tool_use["monitor"] is None
    process.monitor.stop()


def test_status_shows_what_the_tool_did(process: Runtime) -> None:
    optimizer = Optimizer(process)
    pulse = process.probe.pulse()
    optimizer.answer(ask("clear_cache"))
    optimizer.answer(ask("stop_monitoring"))
    assert process.probe.pulse() != pulse, "the record is written anew"
    process.probe.note_tool_use({"options": {"tool_cache_size": "200"}, "seconds": 0.0})
    told = [line.strip() for line in snapshot(process.facts())]
    shown = " ".join(told)
    assert "performance_optimizer: 2 calls (clear_cache 1, stop_monitoring 1), 0.0 s of its own" in shown
    assert "monitor off by it until" in shown
    assert "options changed by it: tool_cache_size 200" in shown
    assert "performance_optimizer: 2 calls" in overview.status(process, ask())
