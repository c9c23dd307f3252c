"""The pictures of the page: what is in them, in words too, and with data that is thin or strange."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autoperf.insight.report.html.charts import distributions, process
from autoperf.insight.report.report import Report
from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from tests.insight.report.test_report import Page, made
from tests.trace_rows import NASTY, T0, Trace, keep, turn

S0 = T0 / 1e9


def report(samples: list[dict[str, Any]], stalls: list[dict[str, Any]] | None = None) -> Report:
    return Report("somewhere", 0.0, "0.1.0", samples=samples, stalls=stalls or [])


def sample(at: float, **more: Any) -> dict[str, Any]:
    return {"at": S0 + at, "pid": 1, "span": 0.0, **more}


def points(markup: str, kind: str) -> list[list[tuple[float, float]]]:
    """The points of every path of a class, in the picture's coordinates."""
    paths = re.findall(rf'<path class="{kind}(?: one)?" d="M([^"]*)"', markup)
    return [[tuple(map(float, pair.split())) for pair in path.split("L")] for path in paths]  # type: ignore[misc]


def test_without_samples_there_is_no_section() -> None:
    assert process(report([])) == ""
    assert distributions(report([])) == ""


def test_one_sample_is_a_dot_in_the_middle() -> None:
    markup = process(report([sample(0, cpu=0.5)]))
    assert points(markup, "curve") == [[(500.0, 16.7), (500.0, 16.7)]]  # 0.5 of 0.6 cores
    assert "1 sample over" in Page(markup).text
    assert markup.count("<svg") == 1
    assert 'class="ends alone"' in markup
    assert markup.count('class="curve one"') == 1  # a thin line of no length could not be seen


def test_curves_lie_where_the_numbers_say() -> None:
    rows = [sample(0, cpu=0.2, memory=100 * 2**20, hits=1, lookups=2), sample(10, cpu=0.8, memory=50 * 2**20)]
    markup = process(report(rows))
    cpu, memory, hits = points(markup, "curve")
    assert cpu == [(0.0, 75.0), (1000.0, 0.0)]
    assert memory == [(0.0, 0.0), (1000.0, 50.0)]
    assert hits == [(0.0, 50.0), (0.0, 50.0)]
    assert "Event-loop lag" not in markup  # nobody measured any
    assert "0.80 cores" in markup
    assert "100 MiB" in markup


WAITED = {"cause": "wait", "measured": {"cpu": 0.04}}


def test_stalls_stand_at_their_time_and_length_with_what_stalled() -> None:
    stalls = [
        {
            "at": S0 + 5,
            "seconds": 1.0,
            "stack": ["tools/x.py:3 <slow>"],
            "tool": "search",
            "pid": 1,
            **WAITED,
        },
        {"at": S0 + 99, "seconds": 2.0, "stack": [], "pid": 1},
    ]
    markup = process(report([sample(0, lag={"A": 0.001}), sample(10, lag={"A": 0.1})], stalls))
    (line,) = points(markup, "curve")
    # From 1 ms to 10 s: four powers of ten.
    assert line == [(0.0, 100.0), (1000.0, 50.0)]
    assert [one[0] for one in points(markup, "stall")] == [(500.0, 25.0)]  # the other lies outside
    assert (
        "<title>1.0 s, 4.0 % of it on a CPU: a wait in tools/x.py:3 &lt;slow&gt;, tool search</title>"
        in markup
    )
    assert "250 ms: 2, as dots" in Page(markup).text


def test_only_the_longest_of_many_stalls_are_drawn_and_it_says_so() -> None:
    stalls = [{"at": S0 + at / 100, "seconds": 0.3 + at / 1000, "pid": 1} for at in range(500)]
    markup = process(report([sample(0, lag={"A": 0.1}), sample(5, lag={"A": 0.1})], stalls))
    assert len(points(markup, "stall")) == 200
    assert "500, the longest 200 as dots" in Page(markup).text


def test_every_picture_says_in_words_and_numbers_what_it_shows() -> None:
    rows = [sample(at, cpu=0.1, memory=2**20, lag={"A": 0.02}, hits=at, lookups=10) for at in range(10)]
    markup = process(report(rows))
    pictures = re.findall(r"<svg[^>]*>", markup)
    assert len(pictures) == 4
    assert all('role="img" aria-label="' in one for one in pictures)
    assert markup.count("<desc>") == 4
    assert "10 samples, median 40.0 %, 95 % of samples from 0.0 % up, lowest 0.0 %" in markup
    assert markup.count("<tr>") == 5  # the table that stands in for them
    assert "as a table" in markup


def test_a_tools_calls_lie_on_one_logarithmic_axis(tmp_path: Path) -> None:
    trace = Trace(1)
    root = trace.span(names.MESSAGE, 0, 200)
    for number, took in enumerate((1, 10, 100)):
        trace.span("execute_tool search", number, number + took, root)
    page = made(keep(tmp_path, trace))
    dots = [float((row["cx"] or "").rstrip("%")) for tag, row in page.elements if tag == "circle"]
    assert dots == [0.0, 50.0, 100.0]
    assert "3 calls" in page.text


def test_names_of_strangers_stay_text_in_pictures(tmp_path: Path) -> None:
    trace = Trace(1)
    root = trace.span(names.MESSAGE, 0, 100)
    for name in NASTY:
        trace.span(f"execute_tool {name}", 1, 50, root)
    page = made(keep(tmp_path, trace))
    assert [tag for tag, _ in page.elements].count("img") == 0
    stalled = [{"at": S0 + 1, "seconds": 1.0, "stack": [NASTY[2]], "tool": NASTY[3], "pid": 1}]
    markup = process(report([sample(0, lag={"A": 0.1}), sample(2, lag={"A": 0.1})], stalled))
    assert "<img" not in markup
    assert "</script>" not in markup


@pytest.mark.parametrize("fields", [{"cpu": 0.0}, {"lag": {}}, {}, {"hits": 1}, {"memory": 0}])
def test_nothing_much_makes_no_trouble(fields: dict[str, Any]) -> None:
    markup = process(report([sample(0, **fields)]))
    assert "nan" not in markup.lower()
    assert "inf" not in markup.lower()
    assert "The process over time" in markup


def test_the_pages_samples_are_those_of_its_processes_and_time(tmp_path: Path) -> None:
    kept = keep(tmp_path, turn(1), processes=[{"pid": 100, "started": S0 - 1}])
    assert "The process over time" not in made(kept).text
    rows = [(S0 + 1, 100), (S0 + 2, 100), (S0 + 1, 101), (S0 + 9000, 100)]
    with Store.open(tmp_path) as store:
        store.write(
            lambda connection: (
                connection.executemany(
                    "INSERT INTO samples VALUES(?, ?, 0, ?)",
                    [(at, pid, json.dumps({"at": at, "cpu": 0.5})) for at, pid in rows],
                )
                and None
            )
        )
    assert "2 samples over 1.0 s" in made(kept).text
