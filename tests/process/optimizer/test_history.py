"""The actions that read the store: this period beside the one before, and the page for people."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from autoperf.process.optimizer import history
from autoperf.process.runtime import Runtime
from autoperf.telemetry import names
from autoperf.telemetry.store.store import SpanRow, Store
from tests.process.optimizer.test_optimizer import ask, made

HOUR = 3600.0


@pytest.fixture
def process(tmp_path: Path) -> Runtime:
    return made("v0_9_8", tmp_path / "state")


def keep(process: Runtime, *rows: SpanRow) -> None:
    with Store.open(process.config.state_dir) as store:
        assert store.add_spans(rows) == len(rows)


def message(
    number: int, ago_s: float, tool_ms: float, *, status: str = "unset", tool: str = "code"
) -> list[SpanRow]:
    """A user's message of one tool call and one model call."""
    began = int((time.time() - ago_s) * 1e9)
    trace = f"{number:032x}"

    def span(index: int, name: str, ms: float, parent: int | None, attributes: dict[str, Any]) -> SpanRow:
        above = None if parent is None else f"{number:08x}{parent:08x}"
        return SpanRow(
            trace, f"{number:08x}{index:08x}", above, name, "internal", began, began + int(ms * 1e6),
            status if index == 2 else "unset", 1, attributes,
        )  # fmt: skip

    return [
        span(1, names.MESSAGE, tool_ms + 50, None, {}),
        span(2, f"{names.EXECUTE_TOOL} {tool}", tool_ms, 1, {names.TOOL_NAME: tool}),
        span(3, f"{names.CHAT} gpt", 40, 1, {}),
    ]


def both(process: Runtime, before_ms: float, after_ms: float, count: int = 12) -> None:
    for number in range(count):
        keep(process, *message(100 + number, 1.5 * HOUR, before_ms + number % 5))
        keep(process, *message(200 + number, 0.5 * HOUR, after_ms + number % 5))


def row(answer: str, name: str) -> list[str]:
    (line,) = (line for line in answer.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_became_slower_beyond_chance(process: Runtime) -> None:
    both(process, 100, 300)
    answer = history.history(process, ask(hours="1"))
    assert "of the last 1 h: 12; of the 1 h before: 12." in answer
    name, calls, errors, median, p95, before, difference = row(answer, "code")
    assert (name, calls, errors, median, p95) == ("code", "12", "0.0 %", "301.0 ms", "304.0 ms")
    assert before == "12, 101.0 ms"
    assert difference.startswith("**2.9")
    assert "slower" in difference
    assert row(answer, "gpt")[-1] == "none beyond chance"


def test_what_became_faster(process: Runtime) -> None:
    both(process, 300, 100)
    assert "x, faster**" in row(history.history(process, ask(hours=1)), "code")[-1]


def test_the_same_is_no_difference_and_few_are_too_few(process: Runtime) -> None:
    both(process, 100, 100)
    keep(process, *message(1, 0.5 * HOUR, 900, tool="rare"), *message(2, 1.5 * HOUR, 1, tool="rare"))
    keep(process, *message(3, 0.2 * HOUR, 5, tool="fresh", status="error"))
    answer = history.history(process, ask(hours=1))
    assert row(answer, "code")[-1] == "none beyond chance"
    assert row(answer, "rare")[-1] == "too few to tell"
    assert row(answer, "fresh")[2:] == ["100.0 %", "5.0 ms", "5.0 ms", "-", "new"]


def test_a_tail_that_became_slower(process: Runtime) -> None:
    for number in range(100):
        more = 50 * number % 120
        keep(process, *message(1000 + number, 1.5 * HOUR - number, 100 + more))
        slow = 2000 if number % 9 == 4 else 0
        keep(process, *message(2000 + number, 0.5 * HOUR - number, 100 + more + slow))
    told = row(history.history(process, ask(hours=1)), "code")
    assert told[4:] == ["2.1 s", "100, 150.0 ms", "**p95 slower**, was 210.0 ms"]


def test_what_may_be_chance_among_so_many_is_no_difference(process: Runtime) -> None:
    # Alone its chance is 7 in 1,000; among forty others that are alike it may be one of them.
    for number in range(12):
        more = 50 * number % 120  # in an order in which neighbours are not alike
        keep(process, *message(100 + number, 1.5 * HOUR, 100 + more))
        keep(process, *message(200 + number, 0.5 * HOUR, 150 + more))
    alone = row(history.history(process, ask(hours=1)), "code")[-1]
    assert "slower" in alone
    for other in range(40):
        for number in range(8):
            for at, ago in ((0, 1.5), (1, 0.5)):
                began = 10_000 + 100 * other + 10 * number + at
                keep(process, *message(began, ago * HOUR, 5 + number % 3, tool=f"t{other}"))
    assert row(history.history(process, ask(hours=1)), "code")[-1] == "none beyond chance"


def test_what_is_older_than_both_periods_is_not_read(process: Runtime) -> None:
    keep(process, *message(1, 2.5 * HOUR, 10), *message(2, 0.1 * HOUR, 10))
    answer = history.history(process, ask(hours=1))
    assert "of the last 1 h: 1; of the 1 h before: 0." in answer
    assert row(answer, "code")[1] == "1"


class Flushed:
    """Telemetry that writes a message when it is asked to."""

    def __init__(self, process: Runtime) -> None:
        self.process = process

    def flush(self) -> None:
        keep(self.process, *message(1, 60, 10))


@pytest.mark.parametrize("action", [history.history, history.report])
def test_what_was_just_measured_is_in_it(
    process: Runtime, monkeypatch: pytest.MonkeyPatch, action: Any
) -> None:
    monkeypatch.setattr(process, "telemetry", Flushed(process))
    assert row(action(process, ask()), "code")[1] == "1"


def test_a_period_is_a_day_unless_it_is_said(process: Runtime) -> None:
    keep(process, *message(1, 23 * HOUR, 10), *message(2, 25 * HOUR, 10))
    assert history.history(process, ask()).startswith("Messages of the last 24 h: 1; of the 24 h before: 1.")


def test_without_anything_before_nothing_is_beside_it(process: Runtime) -> None:
    keep(process, *message(1, 60, 10))
    answer = history.history(process, ask())
    assert "| tool | calls | errors | median | p95 |" in answer.splitlines()
    assert row(answer, "code") == ["code", "1", "0.0 %", "10.0 ms", "10.0 ms"]
    assert "Before:" not in answer


def test_tokens_and_time_to_the_first_chunk_are_no_durations(process: Runtime) -> None:
    for number, ago in enumerate([1.5] * 12 + [0.5] * 12):
        rows = message(number, ago * HOUR, 10)
        tokens = 1000 if ago > 1 else 9000
        rows[2] = rows[2]._replace(
            attributes={names.INPUT_TOKENS: tokens, names.OUTPUT_TOKENS: 5, names.TIME_TO_FIRST_CHUNK: 0.01}
        )
        keep(process, *rows)
    answer = history.history(process, ask(hours=1))
    assert row(answer, "gpt") == [
        "gpt",
        "12",
        "0.0 %",
        "40.0 ms",
        "40.0 ms",
        "12, 40.0 ms",
        "none beyond chance",
    ]


def test_the_page_and_its_headlines(process: Runtime) -> None:
    both(process, 100, 300, count=3)
    open_root = message(900, 0.1 * HOUR, 7)[1:]
    keep(process, *open_root)
    answer = history.report(process, ask())
    path = process.config.state_dir / "report.html"
    lines = answer.splitlines()
    assert lines[0] == f"Written: {path}"
    assert (
        lines[1] == "6 messages, 1 other traces, 1 of all go on; 20 spans; tokens reported for 0 of 7 calls"
    )
    assert lines[2] == "a message took 251.0 ms (median)"
    assert lines[3].startswith("time: ")
    assert row(answer, "code")[1:4] == ["7", "0", "102.0 ms"]
    page = path.read_text()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".autoperf-")] == []


def test_a_page_that_cannot_be_written_says_so(process: Runtime) -> None:
    from autoperf.process.optimizer import Optimizer

    both(process, 100, 300, count=1)
    (process.config.state_dir / "report.html").mkdir()
    answer = Optimizer(process).answer(ask("report"))
    assert answer.startswith("`report`: ")
    assert "report.html cannot be written: " in answer
    assert [
        entry.name for entry in process.config.state_dir.iterdir() if entry.name.startswith(".auto")
    ] == []


@pytest.mark.parametrize("action", ["history", "report"])
def test_without_a_trace_it_says_so(process: Runtime, action: str) -> None:
    from autoperf.process.optimizer import Optimizer

    answer = Optimizer(process).answer(ask(action))
    assert answer.startswith(f"`{action}`: no traces in ")
