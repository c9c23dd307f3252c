"""At rest, with nothing changed, four of five seconds are spared; whatever begins or changes is seen."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from autoperf.insight.facts.ending import ALIVE, ending
from autoperf.instrumentation.agentzero import detect
from autoperf.process import runtime
from autoperf.process.config import Config
from autoperf.process.runtime import Runtime

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


def seconds(process: Runtime, count: int) -> str:
    """What telemetry's thread does in so many seconds: ``.`` is a tick that is spared, ``t`` a whole one."""
    done = ""
    for _ in range(count):
        if process._rests():
            done += "."
        else:
            process._tick()
            done += "t"
    return done


def test_at_rest_every_fifth_tick_is_a_whole_one(process: Runtime) -> None:
    assert seconds(process, 17) == "ttttttt....t....t"


def test_the_monitor_is_asked_at_each(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(process.monitor, "tick", lambda: asked.append(1))
    seconds(process, 16)
    assert len(asked) == 16


def test_what_begins_is_seen_at_once(process: Runtime) -> None:
    seconds(process, 7)
    work = process.probe.underway.begin("message")
    assert seconds(process, 3) == "ttt"
    process.probe.underway.end(work)
    assert seconds(process, 12) == "ttttttt....t"


def test_what_changed_is_told_within_five_seconds(process: Runtime) -> None:
    seconds(process, 8)
    process.probe.memo("paths").hits += 1
    before: Any = process._described
    assert seconds(process, 4) == "...t"
    assert process._described is not before


def test_without_traces_nobody_tells_what_begins(process: Runtime) -> None:
    process.probe.tracing = None
    assert seconds(process, 12) == "t" * 12


def test_the_last_record_is_always_made_anew(process: Runtime) -> None:
    seconds(process, 7)
    process.probe.memo("paths").hits += 1
    assert process._rests()
    assert process._tick()["lookups"]["paths"]["hits"] == 1
    assert runtime._STILL == 5


def test_a_stall_or_a_sample_is_recorded_at_once(process: Runtime) -> None:
    assert seconds(process, 8) == "ttttttt."
    process.monitor.pulse += 1
    assert seconds(process, 3) == "ttt"


def test_a_forked_child_describes_itself_at_once(process: Runtime) -> None:
    seconds(process, 8)
    before = process._described
    process.forked()
    assert seconds(process, 1) == "t"
    assert process._described is not before, "its own numbers, not the parent's"


def test_a_process_at_rest_is_not_told_as_hanging(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [process._expired_at]
    monkeypatch.setattr(runtime.time, "monotonic", lambda: clock[0])
    recorded, silent = [], []
    for _ in range(200):
        clock[0] += 1.0
        before = process._described
        seconds(process, 1)
        if process._described is not before:
            recorded.append(clock[0])
        row = {**process._described, "updated": recorded[-1], "monitor": {"running": True, "interval": 5.0}}
        silent.append(ending(row, ALIVE, clock[0]).trouble)
    assert set(silent) == {""}
    assert max(after - before for before, after in pairwise(recorded)) > 25, "at work that would be silence"
    assert "no sign of life" in ending(row, ALIVE, clock[0] + 71).trouble
