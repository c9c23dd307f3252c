"""Periods read from a store: by time, by run, by version; and the words that select them."""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.cli.periods import selection
from autoperf.cli.views.comparison import comparison_lines
from autoperf.errors import AutoperfError
from autoperf.insight.compare.collect import Comparison, Selection, compare, last_two, period, periods, runs
from autoperf.insight.compare.differences import WORSE, differences
from autoperf.insight.compare.periods import Period
from autoperf.monitor.samples import Archive
from autoperf.monitor.stalls import Stall
from autoperf.telemetry import names
from autoperf.telemetry.store.store import FILE_NAME, Store
from tests.trace_rows import T0, Trace, keep

S0 = T0 / 1e9


def process(pid: int, after: float, version: str, features: list[str] | None = None) -> dict[str, Any]:
    return {
        "pid": pid,
        "started": S0 + after,
        "autoperf": "0.1.0",
        "features": ["tools", "trace"] if features is None else features,
        "resource": {names.SERVICE_VERSION: version},
    }


def messages(first: int, pid: int, after: float, taken: list[float]) -> list[Trace]:
    made = []
    for number, milliseconds in enumerate(taken):
        trace = Trace(first + number, pid=pid, at_ms=(after + 1 + number) * 1000)
        trace.span(names.MESSAGE, 0, milliseconds + 2)
        trace.span("execute_tool search", 1, milliseconds + 1, trace.rows[0].span_id)
        made.append(trace)
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two runs of one pid: 20 messages of about 100 ms under v1.6, an hour later 20 of 200 under v1.7."""
    before = messages(1, 7, 0, [100 + number for number in range(20)])
    after = messages(100, 7, 3600, [200 + number for number in range(20)])
    records = [process(7, 0, "v1.6"), process(7, 3600, "v1.7", ["trace"])]
    keep(tmp_path, *before, *after, processes=records)
    with Store.open(tmp_path) as store:
        archive = Archive(store, clock=lambda: S0 + 3700)
        rows = [{"at": S0 + at, "cpu": 0.5, "memory": 1e8, "hits": 9, "lookups": 10} for at in (5, 3605)]
        stall = Stall(**{**_STALL, "at": S0 + 3606, "seconds": 0.5})
        assert archive.keep(rows, [stall])
    with Store.open(tmp_path) as store:
        store.write(lambda connection: connection.execute("UPDATE samples SET pid = 7") and None)
        store.write(lambda connection: connection.execute("UPDATE stalls SET pid = 7") and None)
    return tmp_path


_STALL: dict[str, Any] = {name: "" for name in Stall._fields if name not in ("at", "seconds", "stack")} | {
    "stack": ()
}


def count(home: Path, **conditions: Any) -> int:
    found = period(home, Selection("made", **conditions)).of(names.MESSAGE)
    return found.count if found else 0


def test_a_period_takes_what_began_in_it_and_belongs_to_it(home: Path) -> None:
    assert count(home) == 40
    assert count(home, until=S0 + 1800) == 20
    assert count(home, since=S0 + 3601, until=S0 + 3604) == 3
    assert count(home, version="v1.7") == 20
    assert count(home, version="v9") == 0
    assert count(home, features=frozenset({"trace"})) == 20
    assert count(home, features=frozenset({"tools"})) == 0
    assert count(home, autoperf="0.1.0", pid=7) == 40
    assert count(home, pid=8) == 0


def test_a_pid_used_again_is_told_apart_by_when_it_began(home: Path) -> None:
    newest, oldest = runs(home)
    assert [newest.version, oldest.version] == ["v1.7", "v1.6"]
    made = periods(home, [newest, oldest])
    assert [one.stalls for one in made] == [1, 0]
    assert [one.samples for one in made] == [1, 1]
    assert [(one.hits, one.lookups) for one in made] == [(9, 10), (9, 10)]
    assert [one.of(names.MESSAGE).p50 for one in made] == [211.0, 111.0]  # type: ignore[union-attr]


def test_what_no_record_tells_of_belongs_to_no_version(tmp_path: Path) -> None:
    keep(tmp_path, *messages(1, 3, 0, [10.0]), processes=[])
    assert count(tmp_path) == 1
    assert count(tmp_path, version="v1.7") == 0


def test_the_last_two_runs_are_compared_by_themselves(home: Path) -> None:
    found = compare(home, *last_two(home))
    worse = {(row.key.kind, row.key.name) for row in found.differences if row.verdict == WORSE}
    assert worse == {(names.MESSAGE, ""), (names.EXECUTE_TOOL, "search")}


def test_periods_that_lie_across_each_other_take_what_is_theirs(home: Path) -> None:
    stretches = [(0.0, float("inf")), (S0, S0 + 10), (S0 + 5, S0 + 3605), (S0 + 3605, S0 + 3700), (S0, S0)]
    chosen = [Selection("made", since, until) for since, until in stretches]
    chosen += [Selection("made", since, until, version="v1.7") for since, until in stretches]
    together = periods(home, chosen)
    assert [one.spans for one in together] == [period(home, one).spans for one in chosen]
    # A message and a tool begin in every second from 1 on, the tool a millisecond later.
    assert [one.spans for one in together] == [80, 18, 40, 32, 0, 40, 0, 8, 32, 0]
    assert [one.samples for one in together] == [2, 1, 1, 1, 0, 1, 0, 0, 1, 0]


def test_the_last_two_runs_are_those_with_a_finished_message(home: Path, tmp_path: Path) -> None:
    cut = Trace(900, pid=9, at_ms=9_000_000)
    cut.span(names.MESSAGE, 0, 5, attributes={names.CUT_OFF: True})
    idle = Trace(901, pid=10, at_ms=9_500_000)
    idle.span("background memorize", 0, 5)
    records = [process(9, 8990, "v1.7"), process(10, 9490, "v1.7")]
    keep(home, cut, idle, processes=records)
    before, after = last_two(home)
    assert [(one.pid, one.version) for one in (before, after)] == [(7, "v1.6"), (7, "v1.7")]


def test_a_crashed_run_counts_with_what_it_left(home: Path) -> None:
    # Killed: its record was never closed, its last message has no end, its tool calls are there.
    orphans = [Trace(700 + number, pid=11, at_ms=7_200_000 + 1000 * number) for number in range(9)]
    for trace in orphans:
        trace.span("execute_tool search", 0, 50, "f" * 16)
    keep(home, *orphans, processes=[process(11, 7190, "v1.8")])
    found = period(home, selection("version:v1.8"))
    assert (found.of(names.MESSAGE), found.of(names.EXECUTE_TOOL).count) == (None, 9)  # type: ignore[union-attr]
    assert period(home, selection("pid:11")).spans == 9


def test_a_store_of_before_there_was_a_monitor(home: Path) -> None:
    connection = sqlite3.connect(home / FILE_NAME)
    for statement in ("DROP TABLE samples", "DROP TABLE stalls", "PRAGMA user_version = 1"):
        connection.execute(statement)
    connection.commit()
    connection.close()
    found = compare(home, selection("version:v1.6"), selection("version:v1.7"))
    assert [one.samples for one in (found.before, found.after)] == [0, 0]
    assert found.differences[0].verdict == WORSE
    assert cli.main(["history", "--home", str(home)]) == 0
    connection = sqlite3.connect(home / FILE_NAME)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)  # reading changes nothing
    connection.close()


def test_an_empty_store_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path) as store:
        store.save_process(process(1, 0, "v1.7"))
    for words in (["history"], ["history", "--by", "day"], ["compare"], ["compare", "today", "yesterday"]):
        assert cli.main([*words, "--home", str(tmp_path)]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1


def test_an_empty_period_and_too_few_runs_are_said(home: Path, tmp_path: Path) -> None:
    with pytest.raises(AutoperfError, match="nothing was measured in version:v9"):
        compare(home, selection("version:v9"), selection("version:v1.7"))
    keep(tmp_path / "one", *messages(1, 7, 0, [10.0]), processes=[process(7, 0, "v1.6")])
    with pytest.raises(AutoperfError, match="fewer than two runs"):
        last_two(tmp_path / "one")
    with pytest.raises(AutoperfError, match="no traces in"):
        last_two(tmp_path / "none")


def test_words_for_days_and_stretches_of_time() -> None:
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    today, yesterday = selection("today"), selection("yesterday")
    assert today.since == midnight.timestamp() == yesterday.until
    assert yesterday.since == (midnight - timedelta(days=1)).timestamp()
    day = selection("2026-01-30..2026-01-31")
    assert day.since == datetime(2026, 1, 30).timestamp()
    assert day.until == datetime(2026, 2, 1).timestamp()
    assert selection("..2026-01-31T08:00").until == datetime(2026, 1, 31, 8).timestamp()
    assert abs(selection("3h").since - (time.time() - 3 * 3600)) < 60
    both = selection("version:v1.7,today,features:tools,trace")
    assert (both.version, both.since) == ("v1.7", today.since)
    assert both.features == {"tools", "trace"}
    assert selection("pid:12,autoperf:0.1.0") == Selection("pid:12,autoperf:0.1.0", pid=12, autoperf="0.1.0")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tomorrow", "is no period"),
        ("pid:x", "whole number"),
        ("version:", "names nothing"),
        ("features:nothing-such", "no feature"),
        ("2026-02-31", "is no period"),
        ("..noon", "is no moment"),
        ("2026-02-02..2026-02-01", "ends before it begins"),
    ],
)
def test_words_that_select_nothing_are_refused_in_one_line(words: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=said) as error:
        selection(words)
    assert "\n" not in str(error.value)


def test_compare_on_the_command_line(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    words = ["compare", "version:v1.6", "version:v1.7", "--home", str(home)]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "worse  tool search" in shown
    assert "20/20" in shown
    assert "118.0 ms / 218.0 ms" in shown  # the 95th percentiles
    assert cli.main([*words, "--fail-on-regression"]) == 3
    assert (
        cli.main(["compare", "version:v1.7", "version:v1.6", "--home", str(home), "--fail-on-regression"])
        == 0
    )
    capsys.readouterr()
    assert cli.main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in told["differences"]} == {"worse", "too few to tell"}
    assert cli.main(["compare", "today", "--home", str(home)]) == 1
    assert "name two periods" in capsys.readouterr().err


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_that_begin_alike_are_told_apart(width: int) -> None:
    made = []
    for label in ("a", "b"):
        one = Period(label)
        for model in ("some-provider/model-large-chat", "some-provider/model-large-utility"):
            used = {names.REQUEST_MODEL: model, names.INPUT_TOKENS: 9000, names.OUTPUT_TOKENS: 8000}
            for number in range(9):
                one.add_span(f"chat {model}", 0, (1200 + number) * 10**6, "unset", used)
        made.append(one)
    found = Comparison(*made, differences(*made))
    lines = [one for one in comparison_lines(found, width, everything=True) if one.startswith("alike")]
    told = {tuple(re.split(r" {2,}", one)[1:3]) for one in lines}
    assert len({name for name, _ in told}) == 2
    assert {what for _, what in told} == {"-", "input tokens", "output tokens"}
    assert len(told) == 6
    assert all(len(one) <= width for one in lines)


def test_a_tail_stands_beside_what_it_is_the_tail_of() -> None:
    before, after = Period("a"), Period("b")
    for number in range(100):
        for one, ms in ((before, 100), (after, 3000 if number % 9 == 4 else 100)):
            one.add_span("execute_tool search", 0, (ms + 50 * number % 120) * 10**6, "unset", {})
    found = Comparison(before, after, differences(before, after))
    lines = comparison_lines(found, 120, everything=True)
    head, tail, whole = lines[3:6]
    assert head.split() == ["what", "of", "n", "before", "after", "p95", "ratio", "interval", "p"]
    assert tail.split()[:10] == [
        "worse", "tool", "search", "p95", "100/100", "210.0", "ms", "3.0", "s", "-",
    ]  # fmt: skip
    assert whole.split()[:4] == ["alike", "tool", "search", "-"]
    assert "slowest" in " ".join(lines)


def test_history_on_the_command_line(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["history", "--home", str(home)]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["period", "messages", "failed", "p50", "p95"]
    assert "no call" in first
    assert "111.0 ms" in first
    assert "211.0 ms" in second
    assert "90.0 %" in second
    assert cli.main(["history", "--home", str(home), "--by", "version", "--of", "tools", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["period"] for row in told] == ["v1.6", "v1.7"]
    assert [row["figures"][0]["name"] for row in told] == ["search", "search"]
    assert cli.main(["history", "--home", str(home), "--by", "hour", "--last", "1"]) == 0
    assert "211.0 ms" in capsys.readouterr().out
    words = ["history", "--home", str(home), "--by", "version"]
    assert cli.main([*words, "--tool", "search"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["period", "tool", "calls", "failed", "p50", "p95", "total"]
    assert first.split()[:3] == ["v1.6", "search", "20"]
    assert second.split()[:3] == ["v1.7", "search", "20"]
    assert cli.main([*words, "--model", "search"]) == 1
    assert "nothing was measured of search" in capsys.readouterr().err
    half = datetime.fromtimestamp(S0 + 1800).isoformat()
    assert cli.main([*words, "--until", half, "--tool", "search", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["period"], [row["name"] for row in only["figures"]]) == ("v1.6", ["search"])
    assert cli.main(["history", "--home", str(home), "--until", half, "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["spans"], only["samples"], only["stalls"]) == (40, 1, 0)
    other = Trace(800, pid=7, at_ms=20_000)
    other.span("execute_tool other", 0, 1)
    keep(home, other)
    assert cli.main([*words, "--until", half, "--tool", "other", "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["count"]) for row in only["figures"]] == [("other", 1)]
    assert cli.main([*words, "--since", "1d", "--until", "2d"]) == 1
    assert "--until is not after --since" in capsys.readouterr().err
    assert cli.main(["history", "--home", str(home), "--since", "1s"]) == 1
    assert "nothing was measured then" in capsys.readouterr().err
