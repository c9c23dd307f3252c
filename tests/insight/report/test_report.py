"""`autoperf report`: a page that stands alone, escapes everything, stays small, says what it left out."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autoperf.cli.views.traces import report_lines
from autoperf.insight.facts.ending import ALIVE
from autoperf.insight.facts.process import Process
from autoperf.insight.report import collect as reporting
from autoperf.insight.report import report as reports
from autoperf.insight.report.collect import collect
from autoperf.insight.report.html import page
from autoperf.insight.report.html.markup import text
from autoperf.telemetry import names
from tests.trace_rows import NASTY, T0, Trace, before_and_after, keep, process, turn

VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Every element with its attributes, and the text of scripts and styles; fails on unbalanced markup."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.code:
            self.code[self._open[-1]].append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def with_class(self, kind: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.elements if kind in (attrs.get("class") or "").split()]


def made(home: Path, last: int = 50, baseline: Path | None = None) -> Page:
    return Page("".join(page(collect(home, last, baseline))))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return before_and_after(tmp_path / "home")


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    trace = Trace(1)
    root = trace.span(
        NASTY[2], 0, 100, attributes={names.CONVERSATION_ID: NASTY[1], names.AGENT_NAME: NASTY[3]}
    )
    for number, name in enumerate(NASTY):
        given = {names.TOOL_NAME: name, name[:40]: name, "list": [name, 1], names.AGENT_NAME: name}
        trace.span(f"execute_tool {name}", number, number + 50, root, status="error", attributes=given)
        trace.span(f"chat {name}", number, number + 50, root)
    record = process(100, features=[NASTY[1]])
    record["host"]["generation"] = NASTY[2]
    record["lookups"][NASTY[1]] = {"lookups": 1, "hits": 1}
    record["caches"][NASTY[2]] = {"hits": 1}
    return keep(tmp_path / "nasty", trace, processes=[record])


def test_the_page_asks_nobody_for_anything(home: Path) -> None:
    found = made(home)
    for tag, attrs in found.elements:
        assert tag not in ("iframe", "img", "object", "embed", "form", "base", "audio", "video", "source")
        for key in ("src", "href", "action", "srcset", "data", "poster", "xlink:href"):
            assert attrs.get(key, "data:,") == "data:,", (tag, attrs)
        assert not [key for key in attrs if key.startswith("on") or key == "style"], (tag, attrs)
    code = "".join("".join(parts) for parts in found.code.values())
    assert not re.search(r"https?:|url\(|@import|fetch|XMLHttp|import\(|//[a-z]", code)


@pytest.mark.parametrize("which", ["home", "nasty"])
def test_the_policy_allows_the_pages_own_code_and_no_other(
    which: str, request: pytest.FixtureRequest
) -> None:
    found = made(request.getfixturevalue(which))
    (policy,) = [
        attrs["content"] or ""
        for tag, attrs in found.elements
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (code,) = found.code[kind]
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy


def test_names_of_strangers_stay_text(nasty: Path) -> None:
    source = "".join(page(collect(nasty, 50)))
    found = Page(source)
    assert [tag for tag, _ in found.elements].count("script") == 1
    assert "alert" not in "".join(found.code["script"])
    for name in NASTY[:4]:
        assert html.unescape(text(name)) in found.text.replace("  ", " ")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", source)
    assert not re.search(r"x{2001}", source), "long names are cut"
    source.encode("utf-8")


@pytest.mark.parametrize("name", NASTY)
def test_text_is_safe_between_quotes_too(name: str) -> None:
    assert not set(text(name)) & set("<>\"'")
    assert len(html.unescape(text(name))) <= 200


def test_the_page_tells_where_the_time_went(home: Path) -> None:
    found = made(home)
    report = collect(home, 50)
    for layer in report.layers:
        assert found.with_class(layer), layer
    total = sum(report.layers.values())
    assert total == pytest.approx(sum(trace.summary.seconds for trace in report.traces))
    assert "side by side shares the moment equally" in found.text
    for tool in ("search", "code_execution_tool", "memory_load", "test-model"):
        assert tool in found.text
    assert "95.0 %" in found.text, "hit rate of the look-ups"
    assert len(found.with_class("trace")) == 2
    assert len([one for one in found.with_class("trace") if "open" in one]) == 1
    assert found.with_class("slow")
    assert found.with_class("err")


def test_only_what_was_measured_is_said_of_autoperf_itself(home: Path) -> None:
    report = collect(home, 50)
    assert "autoperf itself" not in Page("".join(page(report))).text, "no process has told"
    seam = {"seam": "a", "feature": "trace", "calls": 9, "timed": 3, "seconds": 0.5, "error": 0.03}
    told = {"start": 0.2, "cpu": 5.0, "threads": {"autoperf-store": 0.25}}
    records = [{"cost": {**told, "seams": [seam]}}, {"cost": {**told, "seams": [{**seam, "error": 0.04}]}}]
    report.processes = [Process(record, ALIVE, 0.0) for record in records]
    said = "autoperf itself, CPU: 1.50 s (+- 50 ms) of the 10.00 s of the process: trace 1.00 s"
    assert said in Page("".join(page(report))).text
    assert said in " ".join(" ".join(report_lines(report, 200)).split())


def test_observed_runs_are_the_before(home: Path) -> None:
    report = collect(home, 50)
    assert [trace.summary.pid for trace in report.traces] == [200, 200]
    assert report.before is not None
    assert (report.before.description, report.before.messages) == ("traces recorded with --observe", 2)
    found = {one.key.kind: one for one in report.before.changes}
    assert found["prepare_prompt"].speedup == "2.00x"
    counts = {kind: (one.before.count, one.after.count) for kind, one in found.items()}
    assert counts["prepare_prompt"] == (8, 8)
    assert "2.00x" in Page("".join(page(report))).text


def test_a_ratio_of_a_few_measurements_gets_no_colour(home: Path, tmp_path: Path) -> None:
    few = keep(tmp_path / "few", turn(5, steps=6, speed=0.5))
    assert "too few to tell" in made(home, baseline=few).text
    assert not made(home, baseline=few).with_class("good"), "6 prompts against 16"
    many = keep(tmp_path / "many", turn(5, steps=12, speed=0.5))
    assert made(home, baseline=many).with_class("good"), "12 prompts against 16"


def test_another_directory_is_the_before_when_named(home: Path, tmp_path: Path) -> None:
    other = keep(tmp_path / "other", turn(9, pid=300, steps=8, speed=0.5))
    report = collect(home, 50, other)
    assert len(report.traces) == 4, "nothing is set apart then"
    assert report.before is not None
    assert report.before.messages == 1
    prompts = {one.key.kind: one for one in report.before.changes}["prepare_prompt"]
    assert (prompts.before.p50, prompts.after.p50) == (120, 30)


def test_runs_that_were_all_observed_are_no_baseline(tmp_path: Path) -> None:
    home = keep(tmp_path, turn(1), processes=[process(100, features=["trace"])])
    report = collect(home, 50)
    assert report.before is None
    assert len(report.traces) == 1
    assert "Before and after" not in made(home).text


def test_the_last_messages_and_as_much_else(tmp_path: Path) -> None:
    traces = [turn(n + 1, at_ms=n * 10_000) for n in range(6)]
    for n in range(6):
        traces.append(Trace(100 + n, at_ms=n * 10_000 + 5))
        traces[-1].span("background memorize", 0, 1)
    report = collect(keep(tmp_path, *traces), 2)
    found = [(trace.summary.name, (trace.summary.start_ns - T0) // 10**6) for trace in report.traces]
    assert found == [
        ("user_message", 50_000), ("user_message", 40_000),
        ("background memorize", 50_005), ("background memorize", 40_005),
    ]  # fmt: skip
    assert report.left_out == ["Older traces: 8; --last N takes more."]


def test_a_page_stays_small_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "LINES_PER_REPORT", 60)
    monkeypatch.setattr(reports, "LINES_PER_TRACE", 25)
    home = keep(tmp_path, *(turn(n + 1, at_ms=n * 10_000, steps=8) for n in range(5)))
    found = made(home)
    assert len(found.with_class("row")) <= 60 + 5
    assert "Spans without a line here" in found.text
    assert "Traces without a waterfall, to keep this page small: 2." in found.text
    assert len(found.with_class("trace")) == 5


def test_ten_thousand_spans_make_a_small_page(tmp_path: Path) -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 20_000)
    for number in range(10_000):
        trace.span(f"execute_tool tool_{number}", number * 2, number * 2 + 1, root)
    source = "".join(page(collect(keep(tmp_path, trace), 50)))
    assert len(source) < 1_000_000
    assert "9,975 x" not in Page(source).text, "they are quick: all of them are folded"
    assert "10,000 x execute_tool" in Page(source).text


def test_spans_beyond_the_bound_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "SPANS_IN_REPORT", 50)
    home = keep(tmp_path, *(turn(n + 1, at_ms=n * 10_000) for n in range(4)))
    report = collect(home, 50)
    assert 50 <= report.spans < 120
    assert report.left_out == [f"Traces after the first 50 spans: {4 - len(report.traces)}."]


def test_the_slowest_message_is_open_and_all_are_found_in_lower_case(tmp_path: Path) -> None:
    traces = [Trace(number, at_ms=1000 * number) for number in (1, 2, 3, 4)]
    for trace, name, length in zip(
        traces, ("user_message",) * 3 + ("background x",), (20, 90, 30, 500), strict=True
    ):
        root = trace.span(name, 0, length, attributes={names.CONVERSATION_ID: "Chat"})
        trace.span("execute_tool Search", 0, 5, root)
    found = made(keep(tmp_path, *traces)).with_class("trace")
    assert ["open" in one for one in found] == [False, True, False, False]
    assert all((one["data-words"] or "").startswith("chat ") for one in found)
    assert all(" search " in (one["data-words"] or "") for one in found)


def test_the_numbers_of_the_page_are_those_of_the_spans(tmp_path: Path) -> None:
    traces = [Trace(number, at_ms=1000 * number) for number in range(1, 6)]
    for trace, length in zip(traces, (20, 90, 30, 70, 80), strict=True):
        root = trace.span("user_message", 0, length)
        trace.span("chat m", 0, 15, root, attributes={names.TIME_TO_FIRST_CHUNK: 0.007})
    words = made(keep(tmp_path, *traces)).text
    assert "user messages 5 median message 70.0 ms model calls 5 " in words
    assert " first chunk, p50 m 5 0 15.0 ms 15.0 ms 15.0 ms 75.0 ms 7.0 ms " in words


def test_only_the_processes_behind_these_traces_are_counted(home: Path) -> None:
    """Those observed only, which are the before, and those whose traces are gone are not among them."""
    keep(home, processes=[process(300, features=["trace", "tools"])])
    assert collect(home, 50).caches["tools"].lookups == 200
