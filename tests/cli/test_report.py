"""`autoperf report` as a command: text, JSON, a page in a file, and input that makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoperf import cli
from tests.trace_rows import before_and_after


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return before_and_after(tmp_path / "home")


def test_without_a_page_the_numbers_are_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    for words in (
        "where the time went",
        "model",
        "search",
        "95.0 %",
        "traces recorded with --observe",
        "2.00x",
    ):
        assert words in out
    assert cli.main(["report", "--home", str(home), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert len(row["traces"]) == 2
    assert row["before"]["messages"] == 2
    assert sum(row["seconds_by_layer"].values()) == pytest.approx(sum(t["seconds"] for t in row["traces"]))


def test_the_command_writes_the_page(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    assert cli.main(["report", "--home", str(home), "--html", str(target)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"autoperf: {target}: 2 traces; open it in a browser\n"
    assert target.read_text("utf-8").endswith("</html>\n")
    assert target.stat().st_mode & 0o777 == 0o600
    assert cli.main(["report", "--home", str(home), "--html", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--html", "/nowhere/r.html"], "/nowhere/r.html: no such file or directory"),
        (["--html", "/dev/full"], "no space left on device"),
        (["--baseline", "/nowhere"], "no traces in /nowhere"),
    ],
)
def test_bad_input_is_one_line(
    home: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "--home", str(home), *words]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_a_page_that_fails_half_way_leaves_the_old_one(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def broken(_report: object):
        yield "<!doctype html>"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("autoperf.insight.report.html.page", broken)
    assert cli.main(["report", "--home", str(home), "--html", str(target)]) == 1
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]
