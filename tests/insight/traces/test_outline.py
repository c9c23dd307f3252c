"""What of a trace becomes a line, what is folded, and how the lines lie on the time axis."""

from __future__ import annotations

import random

import pytest

from autoperf.insight.traces.layers import seconds_by_layer
from autoperf.insight.traces.outline import Outline, outline
from autoperf.insight.traces.tree import build
from autoperf.insight.traces.waterfall import waterfall
from autoperf.telemetry import names
from tests.trace_rows import Trace, turn


def labels(trace: Trace, fit: int = 1000, **options: bool) -> list[str]:
    return [line.label for line in outline(build(trace.rows), (), fit=fit, **options).lines]


def accounted(found: Outline) -> int:
    return sum(len(line.nodes) + line.hidden for line in found.lines) + found.left_out


@pytest.fixture
def step() -> Trace:
    trace = Trace(1)
    root = trace.span("step", 0, 1000)
    trace.span("chat m", 0, 900, root)
    for at in range(12):
        trace.span(f"tool_lookup t{at}", 900 + at, 900.5 + at, root)
    return trace


def test_repeated_quick_spans_become_one_line(step: Trace) -> None:
    assert labels(step) == ["step", "chat m", "12 x tool_lookup"]
    line = outline(build(step.rows), (), fit=1000).lines[-1]
    assert line.duration_ns == 6_000_000


def test_alike_names_are_said_in_full() -> None:
    trace = Trace(1)
    root = trace.span("step", 0, 1000)
    for at in range(3):
        trace.span("extensions monologue_start", at, at + 0.1, root)
    assert labels(trace) == ["step", "3 x extensions monologue_start"]


def test_nothing_is_folded_when_everything_is_asked_for(step: Trace) -> None:
    assert len(labels(step, whole=True)) == len(step.rows)


@pytest.mark.parametrize("given", [{"status": "error"}, {"attributes": {names.CUT_OFF: True}}])
def test_what_failed_or_was_cut_off_keeps_its_line_and_the_lines_above_it(step: Trace, given: dict) -> None:
    quick = step.span("extensions end", 950, 951, step.rows[0].span_id)
    step.span("extension Memorize", 950, 950.5, quick, **given)
    assert labels(step)[-2:] == ["extensions end", "extension Memorize"]


def test_a_quick_span_counts_what_lies_below_it(step: Trace) -> None:
    above = step.span("prepare_prompt", 990, 991, step.rows[0].span_id)
    step.span("system_prompt", 990, 991, above)
    last = outline(build(step.rows), (), fit=1000).lines[-1]
    assert (last.label, last.hidden) == ("prepare_prompt", 1)


def test_of_many_slow_ones_the_slowest_are_shown() -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 1000)
    slow = [trace.span(f"execute_tool {n}", n, n + 100 + n, root) for n in range(60)]
    lines = outline(build(trace.rows), (), fit=1000).lines
    shown = {line.nodes[0].row.span_id for line in lines if len(line.nodes) == 1} - {root}
    assert shown == set(slow[-25:])
    assert [line.label for line in lines if len(line.nodes) > 1] == ["35 x execute_tool"]


def test_the_slowest_path_is_never_folded() -> None:
    trace = Trace(1)
    root = trace.span("user_message", 0, 1000)
    slow = [trace.span(f"execute_tool {n}", n, n + 100 + n, root) for n in range(60)]
    lines = outline(build(trace.rows), (root, slow[3]), fit=1000).lines
    assert any(line.nodes[0].row.span_id == slow[3] and len(line.nodes) == 1 for line in lines)


def test_steps_are_told_apart() -> None:
    assert [label for label in labels(turn(1)) if label.startswith("step")] == [f"step {n}" for n in range(4)]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("limit", [1, 5, 1000])
@pytest.mark.parametrize("fit", [1, 1000])
def test_every_span_is_shown_folded_hidden_or_counted(seed: int, limit: int, fit: int) -> None:
    dice = random.Random(seed)
    trace = Trace(1)
    ids: list[str | None] = [None]
    for _ in range(150):
        start = dice.randint(0, 1000)
        name = dice.choice(["chat m", "step", "extensions a", "extensions b", "execute_tool x"])
        status = dice.choice(["unset"] * 9 + ["error"])
        ids.append(
            trace.span(name, start, start + dice.choice([0, 1, 2, 300]), dice.choice(ids), status=status)
        )
    tree = build(trace.rows)
    found = outline(tree, (), fit=fit, limit=limit)
    assert len(found.lines) <= limit
    assert accounted(found) == sum(1 for _ in tree.root.walk())


def test_bars_lie_on_one_axis() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 100)
    trace.span("left", 0, 50, root)
    trace.span("right", 25, 100, root)
    fall = waterfall(build(trace.rows), fit=1000)
    assert [bar.pieces for bar in fall.bars] == [((0.0, 1.0),), ((0.0, 0.5),), ((0.25, 1.0),)]
    assert [bar.waited for bar in fall.bars] == [((0.0, 1.0),), (), ((0.25, 1.0),)]
    assert [bar.slowest for bar in fall.bars] == [True, False, True]
    assert fall.seconds == pytest.approx(0.1)


def test_the_axis_reaches_to_the_end_of_what_outlived_the_root() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 50)
    trace.span("late", 25, 100, root)
    fall = waterfall(build(trace.rows), fit=1000)
    assert [bar.pieces for bar in fall.bars] == [((0.0, 0.5),), ((0.25, 1.0),)]
    assert fall.notes == ("Spans that lie partly outside their parent: 1.",)


def test_many_folded_pieces_stay_few() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 20_000)
    for at in range(10_000):
        trace.span("extensions x", at * 2, at * 2 + 1, root)
    fall = waterfall(build(trace.rows), fit=1000)
    assert len(fall.bars) == 2
    assert fall.bars[1].count == 10_000
    assert len(fall.bars[1].pieces) <= 1001


def test_a_note_names_the_trace_that_set_this_one_going() -> None:
    trace = Trace(1)
    trace.span("background memorize", 0, 5, links=[["ab" * 16, "cd" * 8]])
    assert waterfall(build(trace.rows), fit=99).notes == ("Set going by trace abababab.",)


def test_notes_say_what_is_missing_and_what_was_too_short() -> None:
    trace = Trace(1)
    short = {
        names.SHORT_NAMES: ["extensions a", "extensions b"],
        names.SHORT_COUNTS: [7, 2],
        names.SHORT_SECONDS: [0.25, 0.5],
    }
    trace.span("step", 0, 10, "00000000000000ff", attributes=short)
    for at in range(5):
        trace.span("chat", at, at + 10, trace.rows[0].span_id)
    notes = " ".join(waterfall(build(trace.rows), fit=99, limit=3).notes)
    assert "root is not recorded" in notes
    assert "parent is not recorded: 1" in notes
    assert "added up by name: 2 x extensions b 500.0 ms, 7 x extensions a 250.0 ms." in notes
    assert "without a line here: 4" in notes


def test_a_long_turn_is_told_in_few_lines_with_its_slowest_path_open() -> None:
    trace = turn(1, steps=24)
    tree = build(trace.rows)
    full, short = (waterfall(tree, fit=fit) for fit in (1000, 60))
    assert len(full.bars) > 100
    assert len(short.bars) <= 60
    path = [bar.label for bar in short.bars if bar.slowest]
    assert path == [bar.label for bar in full.bars if bar.slowest]
    assert path[:2] == ["user_message", "invoke_agent A0"]
    assert len(path) == 4, "a step and what was slow in it"
    assert sum(bar.count + bar.hidden for bar in short.bars) == len(trace.rows)


def test_an_extension_counts_for_the_prompt_it_builds() -> None:
    trace = Trace(1)
    step = trace.span("step", 0, 100)
    prompt = trace.span("system_prompt", 0, 50, step)
    point = trace.span("extensions system_prompt", 0, 50, prompt)
    trace.span("extension Main", 0, 40, point)
    trace.span("extension End", 60, 90, step)
    layers = {bar.label: bar.layer for bar in waterfall(build(trace.rows), fit=1000).bars}
    assert layers["extension Main"] == layers["extensions system_prompt"] == "prompt"
    assert layers["extension End"] == "extensions"
    assert seconds_by_layer(build(trace.rows)) == pytest.approx(
        {"prompt": 0.05, "extensions": 0.03, "unexplained": 0.02}
    )
