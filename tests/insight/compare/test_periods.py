"""What one stretch of time was made of."""

from __future__ import annotations

from autoperf.insight.compare.periods import PROCESS, Key, Period
from autoperf.insight.facts.tally import Tokens
from autoperf.insight.traces.timings import FIRST_CHUNK, OTHER
from autoperf.telemetry import names
from autoperf.telemetry.store.tables import OPEN

MS = 1_000_000


def test_spans_are_counted_by_kind_and_name() -> None:
    one = Period("made")
    one.add_span("user_message", 2 * 10**9, 2 * 10**9 + 50 * MS, "unset", {})
    one.add_span("execute_tool a", 3 * 10**9, 3 * 10**9 + 10 * MS, "error", {names.TOOL_NAME: "b"})
    one.add_span("execute_tool b", 3 * 10**9, 3 * 10**9 + 30 * MS, "unset", {})
    figures = {row.key: row for row in one.figures()}
    message = figures[Key(names.MESSAGE, "", "duration")]
    assert (message.count, message.failed, message.p50, message.total) == (1, 0, 50.0, 50.0)
    tool = figures[Key(names.EXECUTE_TOOL, "b", "duration")]
    assert (tool.count, tool.failed, tool.p50, tool.p95, tool.error_rate) == (2, 1, 10.0, 30.0, 0.5)
    assert (one.spans, one.first, one.last) == (3, 2.0, 3.0)
    assert list(figures) == [message.key, tool.key]


def test_what_was_cut_off_or_is_part_of_something_says_nothing() -> None:
    one = Period("made")
    one.add_span("execute_tool a", 0, MS, "unset", {names.CUT_OFF: True})
    one.add_span("execute_tool a", 0, MS, "unset", {names.INTERRUPTED: True})
    one.add_span("tool_lookup", 0, MS, "unset", {})
    one.add_span("execute_toolish a", 0, MS, "unset", {})
    one.add_span("execute_tool a", 0, MS, OPEN, {})
    assert (one.spans, one.figures(), one.first) == (0, [], None)
    assert one.tally.tools == {"a": 3}, "but they were begun"


def test_a_models_tokens_and_first_chunk_stand_under_its_name() -> None:
    one = Period("made")
    reported = {names.INPUT_TOKENS: 100, names.OUTPUT_TOKENS: 7, names.TIME_TO_FIRST_CHUNK: 0.25}
    one.add_span("chat m", 0, MS, "unset", reported)
    one.add_span("chat m", 0, MS, "unset", {})
    figures = {(row.key.kind, row.key.name, row.key.quantity): row for row in one.figures()}
    assert figures[names.CHAT, "m", "input tokens"].total == 100
    assert figures[names.CHAT, "m", "output tokens"].count == 1
    assert figures[FIRST_CHUNK, "m", "duration"].p50 == 250
    assert figures[FIRST_CHUNK, "m", "duration"].failed is None
    assert (one.tokens("m"), one.tokens("another")) == (Tokens(100, 7, 2, 1), Tokens())
    assert (one.tally.tokens.text, one.tally.tokens.cell) == (
        "100/7 tokens (reported for 1 of 2 calls)",
        "100/7 (1/2)",
    )


def test_all_of_one_kind_together() -> None:
    one = Period("made")
    for name, taken, status in (("a", 1, "error"), ("b", 3, "unset"), ("c", 5, "error")):
        one.add_span(f"execute_tool {name}", 0, taken * MS, status, {})
    together = one.of(names.EXECUTE_TOOL)
    assert together is not None
    assert (together.count, together.failed, together.p50) == (3, 2, 3.0)
    assert one.of(names.CHAT) is None


def test_samples_are_means_of_five_minutes_for_each_process_and_the_slowest_loop_counts() -> None:
    one = Period("made")
    for at, pid, cpu, lag in ((0, 1, 0.2, 0.01), (5, 1, 0.4, 0.03), (10, 2, 0.9, 0.5), (400, 1, 0.1, 0.0)):
        one.add_sample({"at": float(at), "pid": pid, "cpu": cpu, "lag": {"a": lag, "b": 0.0}})
    values = {key.quantity: sorted(values) for key, values in one.values() if key.kind == PROCESS}
    assert [round(value, 6) for value in values["cpu"]] == [0.1, 0.3, 0.9]
    assert [round(value, 6) for value in values["lag"]] == [0.0, 20.0, 500.0]
    assert "memory" not in values
    assert one.samples == 4


def test_percentiles_of_samples_are_over_time() -> None:
    one = Period("made")
    # Ten minutes at 100 as means of a minute, then two at 300 as 24 samples: more rows, less time.
    for minute in range(10):
        one.add_sample({"at": 60.0 * minute, "pid": 1, "span": 60.0, "memory": 100})
    for number in range(24):
        one.add_sample({"at": 600.0 + 5 * number, "pid": 1, "span": 0.0, "memory": 300})
    (memory,) = one.figures(PROCESS)
    assert (memory.p50, memory.p95, memory.count) == (100, 300, 3)
    short = Period("made")
    for at, value in ((299.0, 1), (301.0, 9), (302.0, 9), (303.0, 9)):  # two blocks, one of a single sample
        short.add_sample({"at": at, "pid": 1, "memory": value})
    assert short.figures(PROCESS)[0].p50 == 9


def test_hits_of_samples_add_up() -> None:
    one = Period("made")
    one.add_sample({"at": 1.0, "hits": 3, "lookups": 4})
    one.add_sample({"at": 2.0})
    one.add_sample({"at": 3.0, "hits": 1, "lookups": 4})
    assert (one.hits, one.lookups) == (4, 8)


def test_names_beyond_two_thousand_are_counted_together() -> None:
    one = Period("made")
    for number in range(2100):
        one.add_span(f"execute_tool t{number}", 0, MS, "unset", {})
    counts = {row.key.name: row.count for row in one.figures()}
    assert len(counts) == 2001
    assert counts[OTHER] == 100
