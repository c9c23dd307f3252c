"""``autoperf top``: what one screen says of fixed facts, what is followed, and a real terminal given back."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.cli import main
from autoperf.cli.views import dashboard, sparklines
from autoperf.cli.views.terminal import columns
from autoperf.insight import processes
from autoperf.insight.facts.ending import ALIVE, GONE, STOPPED, ending
from autoperf.insight.facts.process import Process
from autoperf.insight.live import Follower, View
from autoperf.monitor import Archive, Stall
from autoperf.telemetry.store.store import Store

MIB = 1 << 20
NOW = 1_800_000_000.0
WORKS = [
    {"kind": "message", "agent": "A0", "chat": "c1", "since": NOW - 60},
    {"kind": "agent", "agent": "A0", "chat": "c1", "since": NOW - 59, "step": 2, "step_since": NOW - 31},
    {"kind": "tool", "name": "call_subordinate", "agent": "A0", "chat": "c1", "since": NOW - 30},
    {"kind": "agent", "agent": "A1", "chat": "c1", "since": NOW - 29, "step": 5, "step_since": NOW - 8},
    {"kind": "tool", "name": "search", "agent": "A1", "chat": "c1", "since": NOW - 7},
    {"kind": "tool", "name": "fetch", "agent": "A1", "chat": "c1", "since": NOW - 6},
    {"kind": "message", "agent": "A0", "chat": "c2", "since": NOW - 3},
    {"kind": "agent", "agent": "A0", "chat": "c2", "since": NOW - 3, "step": 1, "step_since": NOW - 2},
    {"kind": "model", "name": "small", "since": NOW - 1},
]
ROW: dict[str, Any] = {
    "pid": 7,
    "started": NOW - 600,
    "updated": NOW - 1,
    "ended": None,
    "resource": {"service.version": "v1.7"},
    "host": {"chats": 9},
    "underway": WORKS,
    "lookups": {
        "tools": {"lookups": 200, "hits": 197, "misses": 3},
        "unasked": {"lookups": 0, "hits": 0, "misses": 0},
        "unmeasured": {"lookups": 5, "hits": None, "misses": None},
    },
    "tools": [
        {
            "name": "often",
            "count": 900,
            "errors": 0,
            "p50_ms": 1.0,
            "p95_ms": 2.0,
            "max_ms": 3.0,
            "total_ms": 900.0,
        },
        {
            "name": "slow",
            "count": 2,
            "errors": 1,
            "p50_ms": 10.0,
            "p95_ms": 4e3,
            "max_ms": 4e3,
            "total_ms": 4010.0,
        },
    ],
    "monitor": {
        "running": True,
        "interval": 5.0,
        "stalls": 2,
        "lasting": [],
        "sample": {
            "cpu": 0.5,
            "cpu_limit": 2.0,
            "memory": 300 * MIB,
            "memory_limit": 1024 * MIB,
            "threads": 25,
            "files": 41,
            "children": {"chrome": [3, 500 * MIB]},
            "lag": {"AgentContext": 0.031, "Other": 0.002},
        },
    },
}
SAMPLES = tuple(
    {"at": NOW - 40 + 5 * i, "cpu": i / 8, "memory": (200 + 10 * i) * MIB, "lag": {"A": i / 100}}
    for i in range(8)
)
STALLS = (
    {
        "at": NOW - 100,
        "seconds": 0.4,
        "cause": "code",
        "stack": ["a.py:1 f"],
        "loop": "A",
        "chat": "c1",
        "tool": "slow",
    },
    {"at": NOW - 50, "seconds": 1.26, "cause": "code", "stack": [], "inside": "time.sleep", "loop": "A"},
)
EIGHTY = """\
process 7 runs since 10 min   Agent Zero v1.7                           08:00:00

CPU     0.50 of 2.00 cores                                              _.-=+*#%
memory  300 MiB, limit 1,024 MiB                                        _.-=+*#%
lag     31.0 ms AgentContext                                            ____...-
holds   threads 25, open files 41, chrome 3 (500 MiB)

9 chats, 2 at work
chat  agent  step  doing                  since
c1    A0     2     tool call_subordinate  30 s
c1    A1     5     tool search            7.0 s
c1    A1     5     tool fetch             6.0 s
c2    A0     1     between calls          2.0 s
-     -            model small            1.0 s

hits    tools 98.5 %

slowest tools  calls  errors      p50     p95     max     total
slow               2       1  10.0 ms   4.0 s   4.0 s     4.0 s
often            900       0   1.0 ms  2.0 ms  3.0 ms  900.0 ms

2 stalls  lasted  cause
07:59:10  1.26 s  time.sleep
07:58:20  0.40 s  a.py:1 f, tool slow, chat c1"""
SIXTY = """\
process 7 runs since 10 min   Agent Zero v1.7       08:00:00

CPU     0.50 of 2.00 cores                          _.-=+*#%
memory  300 MiB, limit 1,024 MiB                    _.-=+*#%
lag     31.0 ms AgentContext                        ____...-
holds   threads 25, open files 41, chrome 3 (500 MiB)

9 chats, 2 at work
chat  agent  step  doing                  since
c1    A0     2     tool call_subordinate  30 s
c1    A1     5     tool search            7.0 s
c1    A1     5     tool fetch             6.0 s
c2    A0     1     between calls          2.0 s
-     -            model small            1.0 s

hits    tools 98.5 %

slowest tools  calls  errors      p50     p95
slow               2       1  10.0 ms   4.0 s
often            900       0   1.0 ms  2.0 ms

2 stalls  lasted  cause
07:59:10  1.26 s  time.sleep
07:58:20  0.40 s  a.py:1 f, tool slow, chat c1"""
FORTY = """\
process 7 runs since 10 min     08:00:00

CPU     0.50 of 2.00 cores
memory  300 MiB, limit 1,024 MiB
lag     31.0 ms AgentContext
holds   threads 25, open files 41
        chrome 3 (500 MiB)

9 chats, 2 at work
chat  agent  step  doing           since
c1    A0     2     tool c..dinate  30 s
c1    A1     5     tool search     7.0 s
c1    A1     5     tool fetch      6.0 s
c2    A0     1     between calls   2.0 s
-     -            model small     1.0 s

hits    tools 98.5 %

slowest tools  calls     p95
slow               2   4.0 s
often            900  2.0 ms

2 stalls  lasted  cause
07:59:10  1.26 s  time.sleep
07:58:20  0.40 s  a.py:1 f, tool slow"""


def view(
    row: dict[str, Any],
    life: str = ALIVE,
    samples: tuple[dict[str, Any], ...] = (),
    stalls: tuple[dict[str, Any], ...] = (),
) -> View:
    return View(Process(row, life, NOW, stalls), samples)


VIEW = view(ROW, ALIVE, SAMPLES, STALLS)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_one_screen_of_eighty_columns() -> None:
    assert "\n".join(dashboard.frame(VIEW, 80)) == EIGHTY


def test_one_screen_of_sixty_columns_says_less_of_each_tool() -> None:
    assert "\n".join(dashboard.frame(VIEW, 60)) == SIXTY


def test_one_screen_of_forty_columns_cuts_no_number_and_no_place() -> None:
    assert "\n".join(dashboard.frame(VIEW, 40)) == FORTY
    alone = {**ROW, "host": {"chats": 1}, "underway": [{**WORKS[1], "chat": "PquPwfVh"}]}
    assert dashboard.frame(view(alone, ALIVE, (), STALLS), 40)[8:11] == [
        "1 chat, 1 at work",
        "chat      step  doing          since",
        "PquPwfVh  2     between calls  31 s",
    ]


def test_where_a_stall_was_gives_way_last() -> None:
    long = {
        **STALLS[0],
        "cause": "code",
        "stack": ["tools/code_execution_tool.py:7 grind"],
        "chat": "PquPwfVh",
        "tool": "code",
    }

    def place(width: int) -> str:
        return dashboard.frame(view({"pid": 7}, ALIVE, (), (long,)), width)[-1].partition("0.40 s  ")[2]

    assert place(90) == "tools/code_execution_tool.py:7 grind, tool code, chat PquPwfVh"
    assert place(79) == "tools/code_execution_tool.py:7 grind, tool code"
    assert place(60) == "tools/code_execution_tool.py:7 grind"
    assert place(40) == "tools/code..py:7 grind"


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 160, 300])
def test_no_line_is_wider_than_the_window(width: int) -> None:
    long = {**ROW, "underway": [{**WORKS[4], "name": "名" * 200, "chat": "x" * 90}]}
    stalls = ({**STALLS[0], "stack": ["p" * 300]},)
    wide = view(long, STOPPED, SAMPLES, stalls)
    assert all(columns(line) <= width for line in dashboard.frame(wide, width, None, sparklines.BLOCKS))


def test_the_spark_lines_use_the_room_of_a_wide_window() -> None:
    many = SAMPLES * 20
    for width, marks in ((80, 38), (160, 60)):
        (line,) = [one for one in dashboard.frame(view(ROW, ALIVE, many), width) if one.startswith("CPU")]
        assert len(line) == 8 + 34 + marks


@pytest.mark.parametrize("height", range(8, 26))
def test_a_low_window_gets_the_beginning_of_every_list_it_has_room_for(height: int) -> None:
    lines = dashboard.frame(VIEW, 80, height)
    assert len(lines) <= height
    assert lines[0].startswith("process 7")
    if height <= 16:
        assert "" not in lines
        assert len(lines) == height, "room for a row is not left empty"
    if height >= 22:
        assert any(line.startswith("07:59:10") for line in lines)
        assert any("and " in line and " more" in line for line in lines) == (
            height < len(EIGHTY.splitlines())
        )


def test_a_high_window_is_filled_before_a_list_is_cut() -> None:
    many = tuple({**STALLS[0], "at": NOW - 60 * number} for number in range(40, 0, -1))
    tall = dashboard.frame(
        view({**ROW, "monitor": {**ROW["monitor"], "stalls": 40}}, ALIVE, (), many), 80, 70
    )
    assert sum("a.py:1 f" in line for line in tall) == 40
    low = dashboard.frame(view(ROW, ALIVE, (), many), 80, 50)
    assert len(low) == 50
    assert low[-1].strip().startswith("and ")


def test_what_is_wrong_comes_first() -> None:
    killed = "it is gone without an end of its own: killed, or crashed"
    assert dashboard.frame(view(ROW, GONE), 120)[:2] == [
        "process 7 was killed, or crashed, after at least 9 min: it recorded no end   Agent Zero v1.7"
        "                    08:00:00",
        f"! {killed}",
    ]
    assert dashboard.frame(view({**ROW, "ended": NOW - 1}), 80)[0].startswith(
        "process 7 ended after 9 min   Ag"
    )
    stuck = {
        "at": NOW - 12,
        "loop": "AgentContext",
        "stack": ["a.py:1 f"],
        "tool": "slow",
        "chat": "c1",
        "cause": "code",
    }
    blocked = {**ROW, "updated": NOW, "monitor": {**ROW["monitor"], "lasting": [stuck]}}

    def said(width: int, row: dict[str, Any] = blocked) -> str:
        return dashboard.frame(view(row), width)[1]

    assert said(160) == "! loop AgentContext has answered nobody for 12 s: a.py:1 f, tool slow, chat c1"
    assert said(60) == "! loop AgentContext has answered nobody for 12 s: a.py:1 f"
    assert said(40) == "! AgentContext stalled 12 s: a.py:1 f"
    # It may have ended since: so much is known of it, by when the record was written, or would have been.
    assert "for 11 s" in said(160, {**blocked, "updated": NOW - 1.0})
    assert "for 10 s" in dashboard.frame(view({**blocked, "updated": NOW - 300.0}), 160)[2]
    gone = view({**blocked, "updated": NOW - 5.0}, GONE)
    assert dashboard.frame(gone, 80)[1:3] == [
        f"! {killed}",
        "! loop AgentContext had answered nobody for 7.0 s: a.py:1 f, tool slow, chat c1",
    ]


def test_a_record_of_nothing_is_shown_as_such() -> None:
    assert dashboard.frame(view({"pid": 7}), 80) == [
        "process 7 runs, nothing of it is recorded   Agent Zero                  08:00:00"
    ]
    assert "5 chats, 0 at work" in dashboard.frame(view({"underway": [], "host": {"chats": 5}}), 80)


def test_names_of_strangers_steer_no_terminal() -> None:
    evil = [{"kind": "tool", "name": "\x1b[2Jx", "agent": "\x07", "chat": "c\r", "since": NOW}]
    text = "\n".join(dashboard.frame(view({**ROW, "underway": evil}), 80))
    assert "\\x1b[2Jx" in text
    assert not set(text) & {"\x1b", "\x07", "\r"}


def test_sparks() -> None:
    assert sparklines.line([0, 1, 2, 4, 8], 5, sparklines.PLAIN, 0.1) == "_.-+%"
    assert sparklines.line([None, 1, None, 2], 3, sparklines.PLAIN, 8.0) == " .-"
    assert sparklines.line([], 3, sparklines.BLOCKS, 1.0) == "   "
    assert sparklines.line([9, 9, 0, 8], 2, sparklines.PLAIN, 1.0) == "_%"


def record(directory: Path, **more: Any) -> dict[str, Any]:
    row = {**ROW, "pid": os.getpid(), "started": time.time() + 1, "updated": time.time(), **more}
    with Store.open(directory) as store:
        store.save_process(row)
    return row


def test_the_trouble_of_a_process() -> None:
    assert ending({"ended": NOW}, GONE, NOW).trouble == ""
    assert "killed" in ending({"updated": NOW}, GONE, NOW).trouble
    row = {"pid": os.getpid(), "updated": NOW - 24.0, "monitor": {"running": True, "interval": 5.0}}
    assert ending(row, ALIVE, NOW).trouble == ""
    assert "no sign of life for 26 s" in ending({**row, "updated": NOW - 26.0}, ALIVE, NOW).trouble
    quiet = {**row, "updated": NOW - 900.0, "monitor": {"running": False, "interval": 5.0}}
    assert ending(quiet, ALIVE, NOW).trouble == "", "without samples nothing is due"


def test_a_stopped_process_is_said_to_be_stopped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert processes.life({"pid": child.pid, "updated": NOW}) == STOPPED
        child.send_signal(signal.SIGCONT)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.life({"pid": child.pid, "updated": NOW}) == GONE, "a zombie does nothing"
    finally:
        child.kill()
        child.communicate()


def test_one_process_is_followed_until_it_ends_then_the_next(tmp_path: Path) -> None:
    first = record(tmp_path)
    follower = Follower(tmp_path)
    view = follower.look()
    assert view is not None
    assert (view.process.record["started"], view.process.ending.running) == (first["started"], True)
    record(tmp_path, pid=os.getppid(), started=time.time() + 2, updated=time.time() + 9)
    assert follower.look().process.record["started"] == first["started"], "newer, but the first one runs"  # type: ignore[union-attr]
    record(tmp_path, started=first["started"], ended=time.time())
    view = follower.look()
    assert view is not None
    assert view.process.record["started"] != first["started"]
    assert Follower(tmp_path, 999_999_999).look() is None


def test_samples_of_other_processes_with_the_same_pid_or_not_are_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    row = record(tmp_path, started=now - 20)
    with Store.open(tmp_path) as store:
        Archive(store).keep([{"at": now - 30, "cpu": 9.0}, {"at": now - 5, "cpu": 1.0}], [])
        Archive(store).keep([], [Stall(now - 40, 1.0, "old"), Stall(now - 4, 1.0, "own")])
        monkeypatch.setattr("autoperf.monitor.samples.os.getpid", lambda: 1)
        Archive(store).keep([{"at": now - 3, "cpu": 7.0}], [Stall(now - 3, 1.0, "other")])
        monkeypatch.undo()
    view = Follower(tmp_path, row["pid"]).look()
    assert view is not None
    assert [one["cpu"] for one in view.samples] == [1.0]
    assert [one["loop"] for one in view.process.stalls.rows] == ["own"]


def test_of_a_process_that_ended_long_ago_its_last_minutes_are_shown(tmp_path: Path) -> None:
    over = time.time() - 7200
    row = record(tmp_path, started=over - 5000, updated=over, ended=over)
    with Store.open(tmp_path) as store:
        Archive(store).keep([{"at": over - ago, "cpu": float(ago)} for ago in (1000, 800, 5)], [])
        Archive(store).keep([], [Stall(over - 4000, 1.0, "old"), Stall(over - 3000, 1.0, "late")])
    view = Follower(tmp_path, row["pid"]).look()
    assert view is not None
    assert not view.process.ending.running
    assert [one["cpu"] for one in view.samples] == [800.0, 5.0]
    assert [one["loop"] for one in view.process.stalls.rows] == ["old", "late"], "as status counts them"


def test_a_program_that_was_replaced_in_its_process_is_not_followed_on(tmp_path: Path) -> None:
    first = record(tmp_path)
    follower = Follower(tmp_path)
    assert follower.look() is not None
    record(tmp_path, started=first["started"] + 1, updated=time.time())
    view = follower.look()
    assert view is not None
    assert view.process.record["started"] == first["started"] + 1
    replaced = processes.again(tmp_path, first)
    assert replaced is not None
    assert ending(replaced, processes.life(replaced), NOW).text.startswith("was replaced by another program")


def test_plain_lines_where_nobody_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path)
    before = (tmp_path / "autoperf.db").read_bytes()
    assert main(["top", "--home", str(tmp_path), "-n", "2", "--interval", "0.1"]) == 0
    text = capsys.readouterr().out
    assert text.count("call_subordinate") == 2
    assert "\x1b" not in text
    assert main(["top", "--home", str(tmp_path), "--once"]) == 0
    assert capsys.readouterr().out.count("call_subordinate") == 1
    assert (tmp_path / "autoperf.db").read_bytes() == before, "it only reads"


def test_without_a_process_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--home", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["--interval", "0"], ["--interval", "nan"], ["--interval", "x"], ["-n", "0"], ["--once", "-n", "2"]],
)
def test_what_makes_no_sense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *words]) == 2
    assert "see autoperf top --help" in capsys.readouterr().err


class Terminal:
    """A program in a terminal of its own: what it writes, and how the terminal is set."""

    def __init__(self, *words: str, **options: Any) -> None:
        import pty
        import termios

        self.master, slave = pty.openpty()
        self.resize(80, 24)
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.written = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "autoperf", "top", "--interval", "0.2", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
            **(options or {"start_new_session": True}),
        )

    def resize(self, width: int, height: int) -> None:
        import fcntl
        import termios

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def until(self, text: str) -> str:
        """Read on until ``text`` has been written."""
        deadline = time.monotonic() + 60
        while text not in self.written and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.2)[0]:
                self.written += os.read(self.master, 65536).decode()
        assert text in self.written, self.written[-3000:]
        seen, self.written = self.written, ""
        return seen

    def is_as_before(self) -> bool:
        import termios

        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


ENTERED, LEFT = "\x1b[?1049h\x1b[?25l", "\x1b[0m\x1b[?25h\x1b[?1049l"


@pytest.mark.skipif(os.name == "nt", reason="no terminals of this kind")
@pytest.mark.parametrize(
    ("ending", "code"),
    [("q", 0), ("Q", 0), ("\x03", 130), (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
)
def test_a_real_terminal_is_given_back_however_it_ends(tmp_path: Path, ending: Any, code: int) -> None:
    record(tmp_path)
    terminal = Terminal("--home", str(tmp_path))
    try:
        assert ENTERED in terminal.until("call_subordinate")
        assert not terminal.is_as_before(), "keys are taken as they are pressed"
        if ending == "\x03":  # a session of its own has no terminal to send the signal through
            ending = signal.SIGINT
        if isinstance(ending, str):
            os.write(terminal.master, ending.encode())
        else:
            terminal.process.send_signal(ending)
        assert terminal.until(LEFT).count(LEFT) == 1
        assert terminal.process.wait(30) == code
        assert terminal.is_as_before()
    finally:
        terminal.close()


@pytest.mark.skipif(os.name == "nt", reason="no terminals of this kind")
def test_stopped_it_gives_the_terminal_back_until_it_goes_on(tmp_path: Path) -> None:
    record(tmp_path)
    # A group of its own in this session, as a shell makes one: nobody could stop an orphaned one.
    terminal = Terminal("--home", str(tmp_path), preexec_fn=os.setpgrp)
    try:
        terminal.until(ENTERED)
        for _ in range(2):
            terminal.process.send_signal(signal.SIGTSTP)
            os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOWAIT)
            assert ENTERED not in terminal.until(LEFT).rpartition(LEFT)[2]
            assert terminal.is_as_before()
            terminal.process.send_signal(signal.SIGCONT)
            assert LEFT not in terminal.until("call_subordinate")
            assert not terminal.is_as_before()
        os.write(terminal.master, b"q")
        terminal.until(LEFT)
        assert terminal.process.wait(30) == 0
        assert terminal.is_as_before()
    finally:
        terminal.close()


@pytest.mark.skipif(os.name == "nt", reason="no terminals of this kind")
def test_a_window_of_another_size_is_drawn_anew(tmp_path: Path) -> None:
    record(tmp_path)
    terminal = Terminal("--home", str(tmp_path), "--interval", "30")
    try:
        terminal.until("\x1b[J")
        terminal.resize(60, 10)
        terminal.process.send_signal(signal.SIGWINCH)
        screen = terminal.until("\x1b[J").rpartition("\x1b[H")[2]
        lines = screen.replace("\x1b[J", "").split("\r\n")
        assert len(lines) <= 10
        bare = [re.sub(r"\x1b\[[0-9]*[A-Za-z]|\r", "", line) for line in lines]
        assert all(len(line) <= 59 for line in bare)
        assert bare[0].startswith("process")
        os.write(terminal.master, b"q")
        terminal.until(LEFT)
    finally:
        terminal.close()
