"""A long stream stops at its tenths until the host is idle; and what is read of another process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.host import run, sandbox
from autoperf.benchmark.host.process import HostProcess
from autoperf.benchmark.model import completions, pace, responses
from autoperf.benchmark.model.completions import Piece
from autoperf.benchmark.model.pace import LONG, TENTHS, Pace


class SlowHost:
    """Works off what it was sent only while the stream stands still; later pieces cost more."""

    def __init__(self) -> None:
        self.now, self.cpu, self.taken, self.sent = 0.0, 0.0, 0, 0
        self.restless = False

    def cpu_seconds(self) -> float | None:
        return self.cpu

    def runs(self) -> bool:
        return self.restless

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self.taken < self.sent and seconds > 0:
            cost = 0.001 if self.taken < LONG else 0.003
            self.taken += 1
            self.cpu += cost
            seconds -= cost


def host_pace(host: SlowHost) -> Pace:
    return Pace(host, host.sleep, lambda: host.now)


def played(host: SlowHost, watch: Pace, pieces: int) -> list[str]:
    events = []
    for event in watch(completions.events("m", "x" * pieces, 1)):
        host.sent += isinstance(event, Piece)
        events.append(event)
    return events


def test_each_tenth_has_its_own_cost_though_the_host_is_far_behind() -> None:
    host = SlowHost()
    watch = host_pace(host)
    events = played(host, watch, 2 * LONG + 32)
    assert events == list(completions.events("m", "x" * (2 * LONG + 32), 1))
    tenths = watch.tenths()
    assert len(tenths) == TENTHS
    assert tenths[0] == pytest.approx(0.001)
    assert tenths[-1] == pytest.approx(0.003)


def test_only_standing_still_is_idle_time() -> None:
    host = SlowHost()
    watch = host_pace(host)
    played(host, watch, 2 * LONG + 32)
    # Three looks of 20 ms at each of the eleven stops, the first of them after the last work.
    assert watch.idle == pytest.approx((TENTHS + 1) * 3 * 0.02)
    assert host.now > 3 * watch.idle, "the host worked in most of the time"


def test_a_short_reply_is_not_stopped() -> None:
    host = SlowHost()
    watch = host_pace(host)
    played(host, watch, LONG - 1)
    assert watch.tenths() == []
    assert host.now == 0


def test_a_host_that_never_rests_is_given_up_and_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_PATIENCE_SECONDS", 1.0)
    host = SlowHost()
    host.restless = True
    watch = host_pace(host)
    played(host, watch, LONG)
    assert watch.tenths() == []
    assert watch.idle == 0


def test_the_log_is_read_when_no_request_is_open_and_the_host_is_at_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    # It works, then rests but has sent a request meanwhile, then rests.
    rests, quiet = [None, pace.Rest(0, 0), pace.Rest(0, 0)], [False, True]

    class Model:
        def wait_quiet(self, seconds: float, timeout: float = 30.0) -> bool:
            asked.append("now" if timeout == 0 else "quiet")
            return quiet.pop(0) if timeout == 0 else True

    def wait_idle(*_: object) -> pace.Rest | None:
        asked.append("rest")
        return rests.pop(0)

    monkeypatch.setattr(run, "wait_idle", wait_idle)
    settle: Any = run._settle
    settle(SlowHost(), Model())
    assert asked == ["quiet", "rest", "quiet", "rest", "now", "quiet", "rest", "now"]


def test_pieces_are_told_from_what_frames_them() -> None:
    chat = list(completions.events("m", "abcdef", 2))
    assert [isinstance(event, Piece) for event in chat] == [False, True, True, True, False, False]
    for body in ({}, {"tools": [{"type": "function", "name": "response"}]}):
        text = json.dumps({"tool_name": "response", "tool_args": {"text": "a"}})
        pieces = [event for event in responses.events(body, text, 5) if isinstance(event, Piece)]
        said = "".join(json.loads(event.partition("data: ")[2])["delta"] for event in pieces)
        assert said == (json.dumps({"text": "a"}) if body else text)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_another_processs_clock_memory_and_children(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys, time\n"
        "kept = bytearray(40_000_000)\n"
        "subprocess.run([sys.executable, '-c', 'for i in range(3_000_000): pass'])\n"
        "end = time.process_time() + 0.05\n"
        "while time.process_time() < end: pass\n"
        "print(time.process_time(), flush=True)\n"
        "time.sleep(60)\n"
    )
    process: Any = HostProcess([sys.executable, "-c", source], tmp_path, {}, tmp_path / "out")
    try:
        while not (told := (tmp_path / "out").read_text()).endswith("\n"):
            assert process._process.poll() is None
            time.sleep(0.02)
        assert process.cpu_seconds() == pytest.approx(float(told), abs=0.02)
        assert process.children_seconds() > 0
        assert process.peak_kib() > 40_000
        assert process.runs() is False
    finally:
        process.stop()
    assert process.cpu_seconds() is None
    assert process.peak_kib() is None


def test_two_repositories_made_of_equal_folders_have_the_same_commit(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "agent.py").write_text("pass\n")
        sandbox.make_repository(folder)
        words = ["git", "-C", str(folder), "describe", "--tags", "--long", "--always"]
        hashes.add(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
    assert len(hashes) == 1
    assert hashes.pop().startswith("v0.0-")
