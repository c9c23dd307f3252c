"""At rest, with nothing changed, there is a tick every few seconds; whatever begins or changes is seen."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.insight.facts.ending import ALIVE, ending
from autoperf.instrumentation.agentzero import detect
from autoperf.process import runtime
from autoperf.process.config import Config
from autoperf.process.runtime import Runtime
from autoperf.telemetry.pipeline import RESTING_S

HOSTS = Path(__file__).resolve().parents[1] / "hosts"


@pytest.fixture
def process(tmp_path: Path) -> Runtime:
    """A runtime of a look-alike that patches nothing: it is not started."""
    root = HOSTS / "v2"
    layout = detect(root)
    assert layout is not None
    made = Runtime(root, layout, Config(home=tmp_path / "state", quiet=True))
    made.probe.tracing = object()  # type: ignore[assignment]
    return made


def ticks(process: Runtime, count: int) -> str:
    """For each tick: ``t`` where the next is to come in a second, ``.`` where it may come later."""
    done = ""
    for _ in range(count):
        process._tick()
        done += "." if process._rests() else "t"
    return done


def test_it_rests_after_five_ticks_at_which_nothing_happened(process: Runtime) -> None:
    assert ticks(process, 8) == "ttttt..."
    assert runtime._STILL == 5


def test_what_begins_ends_it(process: Runtime) -> None:
    ticks(process, 7)
    work = process.probe.underway.begin("message")
    assert not process._rests()
    assert ticks(process, 3) == "ttt"
    process.probe.underway.end(work)
    assert ticks(process, 7) == "ttttt.."


def test_what_changed_is_told_at_the_next_tick(process: Runtime) -> None:
    ticks(process, 8)
    process.probe.memo("paths").hits += 1
    before: Any = process._described
    assert ticks(process, 1) == "t"
    assert process._described is not before
    assert process._described["lookups"]["paths"]["hits"] == 1


def test_the_monitor_is_asked_at_each(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(process.monitor, "tick", lambda: asked.append(1))
    ticks(process, 9)
    assert len(asked) == 9


def test_a_sample_and_a_sign_of_life_are_recorded_at_rest(process: Runtime) -> None:
    ticks(process, 8)
    before = process._described
    process.monitor.pulse += 1
    assert ticks(process, 2) == ".."
    sampled = process._described
    assert sampled is not before
    process._expired_at -= 30
    assert ticks(process, 2) == ".."
    assert process._described is not sampled


def test_without_traces_nobody_tells_what_begins(process: Runtime) -> None:
    process.probe.tracing = None
    assert ticks(process, 12) == "t" * 12


def test_a_forked_child_describes_itself_at_once(process: Runtime) -> None:
    ticks(process, 8)
    before = process._described
    process.forked()
    assert ticks(process, 1) == "t"
    assert process._described is not before, "its own numbers, not the parent's"


def test_what_one_part_fails_of_in_a_forked_child_costs_no_other(
    process: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    for part in (process.code.cache, process.monitor, process.probe.tools):
        monkeypatch.setattr(type(part), "forked", lambda _: 1 / 0)
    before, replies = failures.of("fork"), process.probe.replies._lock
    process.forked()
    assert failures.of("fork") - before == len(process.caches) + 4, "tools and points are alike"
    assert process.probe.replies._lock is not replies
    assert set(process.inherited) == {"lookups", "caches"}


def test_a_process_at_rest_is_not_told_as_hanging(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [process._expired_at]
    monkeypatch.setattr(runtime.time, "monotonic", lambda: clock[0])
    recorded, silent = [], []
    for _ in range(100):
        clock[0] += RESTING_S if process._rests() else 1.0
        before = process._described
        process._tick()
        if process._described is not before:
            recorded.append(clock[0])
        row = {**process._described, "updated": recorded[-1], "monitor": {"running": True, "interval": 5.0}}
        silent.append(ending(row, ALIVE, clock[0]).trouble)
    assert set(silent) == {""}
    assert max(after - before for before, after in pairwise(recorded)) > 25, "at work that would be silence"
    assert "no sign of life" in ending(row, ALIVE, clock[0] + 71).trouble


def test_a_start_line_that_fails_at_exit_is_counted_and_goes_no_further(
    process: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Runtime) -> None:
        raise RuntimeError

    at_exit: list[Any] = []
    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    monkeypatch.setattr("atexit.register", at_exit.append)
    monkeypatch.setattr(Runtime, "_announce", broken)
    before = failures.of("start line")
    process._begin()
    try:
        for callback in reversed(at_exit):
            callback()
        assert failures.of("start line") == before + 1
    finally:
        process._undo.close()
    assert failures.of("start line") == before + 2
