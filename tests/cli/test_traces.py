"""`autoperf traces`: the list and its filters, the waterfall, and what strangers' names do to neither."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autoperf import cli
from autoperf.cli.arguments import moment, seconds
from autoperf.cli.views import terminal
from autoperf.cli.views import waterfall as bars
from autoperf.errors.wording import printable
from autoperf.insight.traces.tree import build
from autoperf.insight.traces.waterfall import waterfall
from autoperf.telemetry import names
from tests.interpreters import REPOSITORY
from tests.trace_rows import MS, NASTY, T0, Trace, keep, turn

ESCAPE = "\x1b"


@pytest.fixture
def home(tmp_path: Path) -> str:
    """Three messages, the first without errors, and background work."""
    later = Trace(0xB << 120, at_ms=90_000)
    later.span("background memorize", 0, 250)
    traces = [turn(n << 120, at_ms=n * 10_000, steps=n + 2, seed=n) for n in (1, 2, 3)]
    return str(keep(tmp_path / "home", *traces, later))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main(list(words)) == 0
    return capsys.readouterr().out.splitlines()


def ids(capsys: pytest.CaptureFixture[str], home: str, *words: str) -> list[str]:
    assert cli.main(["traces", "--json", "--home", home, *words]) in (0, 1)
    return [one["trace_id"][:2] for one in json.loads(capsys.readouterr().out)]


def test_newest_first_with_what_people_ask_for(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    head, *lines, note = said(capsys, "traces", "--all", "--home", home)
    assert head.split() == ["id", "when", "chat", "agent", "duration", "tools", "tokens", "errors"]
    assert [line[:8] for line in lines] == ["0b000000", "03000000", "02000000", "01000000"]
    assert all(terminal.columns(line) <= 80 for line in lines)
    last = lines[-1].split()
    assert last[-4:] == ["5", "3600/360", "(3/4)", "0"]
    assert "A0, A1" in lines[-1]
    assert "3600/360 (3/4)" in lines[-1], "the subordinate's model reported none"
    assert "no call" in lines[0]
    assert note == "note: Tokens with (2/58) were reported for 2 of 58 calls."


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ["03", "02", "01"]),
        (["--all"], ["0b", "03", "02", "01"]),
        (["--limit", "2", "--all"], ["0b", "03"]),
        (["--errors"], ["03", "02"]),
        (["--tool", "memory_load"], ["03", "02"]),
        (["--tool", "memory"], []),
        (["--agent", "a1"], ["03", "02", "01"]),
        (["--agent", "A2"], []),
        (["--longer-than", "300ms"], ["03", "02", "01"]),
        (["--longer-than", "1h"], []),
        (["--errors", "--limit", "1"], ["03"]),
        (["--since", "2020-01-01"], ["03", "02", "01"]),
        (["--since", "2099-01-01"], []),
    ],
)
def test_filters(home: str, words: list[str], found: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ids(capsys, home, *words) == found


def test_filter_by_chat_and_by_a_moment_between(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads("\n".join(said(capsys, "traces", "--json", "--home", home)))
    chat = rows[-1]["chat"]
    assert ids(capsys, home, "--chat", chat) == [r["trace_id"][:2] for r in rows if r["chat"] == chat]
    between = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(T0 / 1e9 + 25))
    assert ids(capsys, home, "--since", between) == ["03"]


def test_more_traces_than_one_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traces = []
    for number in range(250):
        traces.append(Trace(number + 1, at_ms=number // 3))
        traces[-1].span("user_message", 0, 1)
    home = str(keep(tmp_path, *traces))
    listed = json.loads("\n".join(said(capsys, "traces", "--json", "--home", home, "--limit", "999")))
    assert len({one["trace_id"] for one in listed}) == 250
    assert [one["start_ns"] for one in listed] == sorted((one["start_ns"] for one in listed), reverse=True)


def test_one_trace_as_a_waterfall(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "traces", "show", "01", "--home", home)
    assert lines[0].startswith("01000000")
    assert "chat-" in lines[1]
    assert all(terminal.columns(line) <= 80 for line in lines)
    marked = [line for line in lines if line.startswith("> ")]
    assert re.match(r"> user_message \(unexplained [\d.]+ ms\) +[\d.]+ s  ", marked[0])
    assert marked[1].startswith(">   invoke_agent A0")
    assert marked[2].startswith(">     step ")
    text = "\n".join(lines)
    assert ESCAPE not in text
    assert "slowest path" in text
    assert "framework on the stream" in text
    assert "the end waited for: " in text


def test_the_newest_message_is_shown_by_default(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "traces", "show", "--home", home)[0].startswith("03")
    assert said(capsys, "traces", "--home", home, "show")[0].startswith("03")


def test_spans_as_json(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads("\n".join(said(capsys, "traces", "show", "0b", "--home", home, "--json")))
    assert [row["name"] for row in rows] == ["background memorize"]
    assert json.loads("\n".join(said(capsys, "traces", "--json", "--home", home, "show", "0b"))) == rows


@pytest.mark.parametrize("width", [40, 80, 160, 300])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_is_wider_than_the_terminal_whatever_the_names(width: int, colour: bool) -> None:
    trace = Trace(1)
    above = trace.span("user_message", 0, 1000)
    for number, name in enumerate(NASTY * 3):
        above = trace.span(f"execute_tool {name}", number, 1000 - number, above, status="error")
    drawn = bars.drawn(waterfall(build(trace.rows), fit=1000), width, bars.BLOCKS, colour=colour)
    assert len(drawn) == len(trace.rows) + 1
    for line in drawn:
        plain = re.sub(r"\x1b\[\d+m", "", line) if colour else line
        assert terminal.columns(plain) <= width
        assert printable(plain) == plain, "no control character of a stranger comes through"


def test_the_signs_of_a_bar() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 100)
    trace.span("beside", 0, 50, root, status="error")
    trace.span("waited", 0, 100, root)
    scale, top, waited, beside = bars.drawn(waterfall(build(trace.rows), fit=1000), 80, "#.")
    assert scale.split() == ["time", "0", "100.0", "ms"]
    assert top.startswith("> root")
    assert beside.startswith("!   beside (failed)")
    assert set(beside.split()[-1]) == {"."}
    assert set(waited.split()[-1]) == {"#"}
    assert len(waited.split()[-1]) == 2 * len(beside.split()[-1])


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🎉", 2), ("שלום", 4), ("", 0)]
)
def test_columns_are_counted_as_a_terminal_does(text: str, width: int) -> None:
    assert terminal.columns(text) == width


@pytest.mark.parametrize("width", range(8))
def test_cutting_never_overshoots(width: int) -> None:
    assert terminal.columns(terminal.fitted("日本語の道具", width)) == width
    assert terminal.columns(terminal.fitted("plain text", width)) == width


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1.5), ("300ms", 0.3), ("10m", 600), ("2 h", 7200), ("3d", 259200), ("0", 0)]
)
def test_time_spans(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)
    assert moment(text) == pytest.approx(time.time() - value, abs=60)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "yesterdayish"], "no moment"),
        (["--longer-than", "-1"], "no time span"),
        (["--longer-than", "5 weeks"], "no time span"),
        (["--limit", "0"], "no whole number above 0"),
        (["--limit", "٣"], "no whole number above 0"),
        (["shwo"], "invalid choice: 'shwo'"),
        (["show", "a", "b"], "unrecognized arguments: b"),
    ],
)
def test_a_line_that_makes_no_sense(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["traces", *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said in captured.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "ff"], "no trace ff in"),
        (["show", "0"], "0 fits more than one trace: 0b000, 03000, 02000, ..."),
        (["show", "\x1b[31m"], "'\\x1b[31m' is no trace id"),
        (["--tool", "none"], "no such trace in"),
    ],
)
def test_what_is_not_there_is_one_line(
    home: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["traces", "--home", home, *words]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said in captured.err
    assert ESCAPE not in captured.err


@pytest.mark.parametrize("verb", ["traces", "report", "export"])
def test_no_store_at_all(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main([verb, "--home", str(tmp_path / "none")]) == 1
    assert "no traces in ~/none; record some: autoperf run" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("verb", ["traces", "report", "export"])
def test_a_damaged_store_is_one_line(verb: str, home: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(home, "autoperf.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    assert cli.main([verb, "--home", home]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert "cannot be read" in captured.err


def test_a_trace_that_still_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = Trace(1)
    step = trace.span("step", 0, 90, "00000000000000ff")
    trace.span("chat m", 0, 50, step, attributes={names.CUT_OFF: True})
    home = str(keep(tmp_path, trace))
    assert "(cut off" in said(capsys, "traces", "--home", home)[1]
    lines = said(capsys, "traces", "show", "--home", home)
    assert any("(root not recorded yet)" in line for line in lines)
    assert any("chat m (cut off)" in line for line in lines)
    assert any(line.startswith("note: The root is not recorded") for line in lines)


def test_ten_thousand_spans_fit_on_a_screen_and_all_can_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 20_000)
    for number in range(10_000):
        trace.span(f"execute_tool t{number % 9}", number * 2, number * 2 + 1.9, root)
    home = str(keep(tmp_path, trace))
    assert len(said(capsys, "traces", "show", "--home", home)) < 50
    assert len(said(capsys, "traces", "show", "--all", "--home", home)) > 10_000


def test_colour_only_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    for variable in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    assert terminal.in_colour(Screen())  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.in_colour(Screen())  # type: ignore[arg-type]
    assert not terminal.in_colour()


def process(home: str, *words: str, **variables: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "autoperf", *words, "--home", home],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_an_output_without_blocks_gets_plain_signs(home: str) -> None:
    out, err = process(home, "traces", "show", PYTHONIOENCODING="ascii", COLUMNS="120").communicate(
        timeout=60
    )
    assert err == b""
    assert b"#####" in out
    assert max(map(len, out.splitlines())) == 120


def test_a_reader_that_leaves_early_is_no_trouble(tmp_path: Path) -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 20_000)
    for number in range(5_000):
        trace.span("execute_tool t", number * 2, number * 2 + MS / MS, root)
    running = process(str(keep(tmp_path, trace)), "traces", "show", "--all")
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == b""
    assert running.wait(timeout=60) == 1
