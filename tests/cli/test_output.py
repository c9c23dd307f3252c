"""What verbs write where stdout has another encoding, is closed, or is full."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from autoperf import cli
from autoperf.cli.views import terminal
from autoperf.telemetry.store.store import FILE_NAME
from tests.trace_rows import NASTY, Trace, before_and_after, keep, process


@pytest.fixture
def home(tmp_path: Path) -> str:
    """One message whose chat and tool have a name that few encodings have."""
    trace = Trace(1)
    root = trace.span("user_message", 0, 100, attributes={"gen_ai.conversation.id": NASTY[5]})
    trace.span(f"execute_tool {NASTY[5]}", 10, 20, root)
    return str(keep(tmp_path / "home", trace))


def written(monkeypatch: pytest.MonkeyPatch, encoding: str, *words: str) -> bytes:
    """What ``autoperf words`` writes to a stdout of this encoding."""
    binary = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(binary, encoding=encoding))
        assert cli.main(list(words)) == 0
        return binary.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
@pytest.mark.parametrize("verb", ["traces", "traces show", "report"])
def test_names_that_the_encoding_lacks_are_escaped(
    verb: str, encoding: str, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = written(monkeypatch, encoding, *verb.split(), "--home", home).decode(encoding)
    assert "\\u65e5\\u672c" in told


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_a_page_is_utf8_whatever_the_encoding_of_stdout(
    encoding: str, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = written(monkeypatch, encoding, "report", "--html", "-", "--home", home).decode("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")
    assert "日本語" in page


@pytest.mark.parametrize("words", [["export"], ["report", "--html", "-"]])
def test_a_closed_stdout_is_one_line(
    words: list[str], home: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)
        patched.setattr(cli, "_let_go", lambda: None)  # it closes the stdout of the tests
        assert cli.main([*words, "--home", home]) == 1
    assert capsys.readouterr().err == "autoperf: stdout: bad file descriptor\n"


@pytest.mark.parametrize("words", [["export", "--output", ""], ["report", "--html", ""]])
def test_a_file_without_a_name_is_one_line(
    words: list[str], home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--home", home]) == 1
    assert capsys.readouterr() == ("", "autoperf: give the file a name, or - for stdout\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_device_is_named(
    home: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_let_go", lambda: None)  # it closes the test's own stdout
    assert cli.main(["report", "--html", "/dev/full", "--home", home]) == 1
    assert capsys.readouterr().err == "autoperf: /dev/full: no space left on device\n"


def test_status_shows_what_a_name_or_a_reason_would_do_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = process(100, features=["trace"])
    record["tools"] = [{"name": NASTY[0], "count": 1, "errors": 0, "total_ms": 1.0}]
    record["tools"] += [{"name": NASTY[5] * 5, "count": 1, "errors": 0, "total_ms": 1.0}]
    record["failures"] = [{"seam": "x", "reason": f"KeyError: {NASTY[0]}", "count": 1}]
    assert cli.main(["status", "--home", str(keep(tmp_path, processes=[record]))]) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\r", "\a"} & set(out)
    assert out.count("\\x1b[31mred\\x1b[0m") == 2
    (wide,) = (line for line in out.splitlines() if line.startswith("  日本語"))
    assert terminal.columns(wide) <= 80
    assert ".." in wide


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("verb", ["traces --all", "traces show", "report"])
def test_no_line_is_wider_than_the_terminal(
    verb: str, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    home = str(before_and_after(tmp_path))
    assert cli.main([*verb.split(), "--home", home]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(terminal.columns, lines)) in range(min(width, 80) * 3 // 4, width + 1)


def test_spans_that_are_not_read_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 9)
    for number in range(3):
        trace.span("step", number, number + 1, root)
    home = keep(tmp_path, trace)
    # As if there had been room for two only.
    with contextlib.closing(sqlite3.connect(home / FILE_NAME)) as connection, connection:
        connection.execute("DELETE FROM spans WHERE span_id > ?", (f"{2:016x}",))
    assert cli.main(["traces", "show", "--home", str(home)]) == 0
    assert "note: Spans beyond the first 2: 2; their time counts" in capsys.readouterr().out
