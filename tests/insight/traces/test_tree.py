"""Spans as trees, their shares of the wall clock, and what the end of a trace waited for."""

from __future__ import annotations

import itertools
import random

import pytest

from autoperf.insight.traces.critical_path import critical_path
from autoperf.insight.traces.layers import LAYERS, OF_A_CALL, UNEXPLAINED, layer_of, seconds_by_layer
from autoperf.insight.traces.self_time import shares
from autoperf.insight.traces.tree import UNRECORDED, Tree, build
from autoperf.telemetry import names
from tests.trace_rows import MS, Trace, turn


def by_name(tree: Tree) -> dict[str, float]:
    """Shares in ms by span name."""
    share = shares(tree)
    return {node.name: round(share[node.row.span_id] / MS, 3) for node in tree.spans()}


def test_a_turn_becomes_one_tree() -> None:
    rows = turn(1).rows
    tree = build(rows[::-1])
    assert (tree.complete, tree.orphans, tree.odd_clocks) == (True, 0, 0)
    assert tree.root.name == names.MESSAGE
    assert [node.row.attributes[names.STEP_NUMBER] for node in tree.root.children[0].children] == [0, 1, 2, 3]
    assert sum(1 for _ in tree.spans()) == len(rows)
    assert all(node.depth == node.parent.depth + 1 for node in tree.spans() if node.parent)


def test_an_open_root_leaves_a_tree_that_says_so() -> None:
    trace = Trace(1)
    for at in (0, 100):
        step = trace.span("step", at, at + 90, "00000000000000ff")
        trace.span("chat m", at, at + 50, step)
    tree = build(trace.rows)
    assert (tree.complete, tree.orphans) == (False, 2)
    assert tree.root.name == UNRECORDED
    assert [node.name for node in tree.spans()] == ["step", "chat m"] * 2
    assert tree.root.duration_ns == 190 * MS


def test_two_roots_are_both_kept() -> None:
    trace = Trace(1)
    trace.span("a", 0, 10)
    trace.span("b", 5, 20)
    tree = build(trace.rows)
    assert (tree.complete, tree.orphans, len(tree.root.children)) == (False, 0, 2)


def test_parents_in_a_circle_lose_no_span() -> None:
    trace = Trace(1)
    trace.span("root", 0, 10)
    trace.span("a", 1, 2, f"{3:016x}")
    trace.span("b", 1, 2, f"{2:016x}")
    trace.span("itself", 1, 2, f"{4:016x}")
    trace.span("below b", 1, 2, f"{3:016x}")
    tree = build(trace.rows)
    assert sorted(node.name for node in tree.spans()) == ["a", "b", "below b", "itself", "root"]
    assert tree.orphans == 2


def test_odd_clocks_are_counted_and_never_give_a_negative_time() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 10)
    trace.span("backwards", 8, 3, root)
    trace.span("outlives", 5, 15, root)
    tree = build(trace.rows)
    assert tree.odd_clocks == 2
    assert all(node.duration_ns >= 0 for node in tree.spans())
    assert by_name(tree) == {"root": 5, "outlives": 10, "backwards": 0}


def test_ten_thousand_spans_below_each_other() -> None:
    trace = Trace(1)
    above = None
    for depth in range(10_000):
        above = trace.span("step", depth / 1000, 30 - depth / 1000, above)
    tree = build(trace.rows)
    assert sum(1 for _ in tree.spans()) == 10_000
    assert sum(shares(tree).values()) == pytest.approx(30 * MS)
    assert len(critical_path(tree.root).waited) == 10_000


def test_time_belongs_to_the_innermost() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 100)
    middle = trace.span("middle", 10, 60, root)
    trace.span("inner", 20, 30, middle)
    assert by_name(build(trace.rows)) == {"root": 50, "middle": 40, "inner": 10}


def test_parallel_work_shares_the_moment() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 100)
    trace.span("left", 0, 60, root)
    trace.span("right", 20, 100, root)
    assert by_name(build(trace.rows)) == {"root": 0, "left": 20 + 20, "right": 20 + 40}


def test_a_child_that_begins_before_its_parent_takes_nothing_from_it_twice() -> None:
    trace = Trace(1)
    root = trace.span("root", 10, 30)
    trace.span("early", 0, 20, root)
    assert by_name(build(trace.rows)) == {"root": 10, "early": 20}


def slow_shares(tree: Tree) -> dict[str, float]:
    """The definition, written down moment by moment."""
    nodes = [node for node in tree.spans() if node.duration_ns]
    edges = sorted({moment for node in nodes for moment in (node.start_ns, node.end_ns)})
    result = {node.row.span_id: 0.0 for node in tree.spans()}
    for begin, end in itertools.pairwise(edges):
        running = [node for node in nodes if node.start_ns <= begin and node.end_ns >= end]
        above = {id(node.parent) for node in running}
        innermost = [node for node in running if id(node) not in above]
        for node in innermost:
            result[node.row.span_id] += (end - begin) / len(innermost)
    return result


@pytest.mark.parametrize("seed", range(60))
def test_shares_are_what_their_definition_says_whatever_the_tree(seed: int) -> None:
    dice = random.Random(seed)
    trace = Trace(1)
    ids: list[str | None] = [None]
    for _ in range(dice.randint(1, 25)):
        start = dice.randint(0, 40)
        ids.append(trace.span("x", start, start + dice.randint(-3, 20), dice.choice(ids)))
    tree = build(trace.rows)
    assert shares(tree) == pytest.approx(slow_shares(tree))


def test_layers_add_up_to_the_whole() -> None:
    tree = build(turn(1, steps=8).rows)
    layers = seconds_by_layer(tree)
    assert sum(layers.values()) == pytest.approx(tree.root.duration_ns / 1e9)
    assert list(layers) == [layer for layer in LAYERS if layer in layers]
    chats = sum(node.duration_ns for node in tree.spans() if node.name.startswith("chat")) / 1e9
    assert sum(layers.get(part, 0.0) for part in OF_A_CALL) == pytest.approx(0.9 * chats)
    step_alone = layers[UNEXPLAINED] - 0.1 * chats
    assert 0 < step_alone < 0.1, "steps, the agents and the message themselves"


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("chat gpt", UNEXPLAINED), ("execute_tool x", "tools"), ("tools/call x", "tools"),
        ("step", UNEXPLAINED), ("user_message", UNEXPLAINED), ("retry", "retry"), ("", UNEXPLAINED),
        ("prepare_prompt", "prompt"), ("extension Memorize", "extensions"), ("intervention", "waiting"),
        ("tool_lookup x", "tools"), ("mcp_session x", "tools"), ("mcp_connect x", "tools"),
        ("tools/list", "tools"), ("system_prompt", "prompt"), ("compress_history", "prompt"),
        ("memory_recall", "prompt"), ("extensions monologue_end", "extensions"),
        ("invoke_agent A0", UNEXPLAINED), ("chatter", UNEXPLAINED),
    ],
)  # fmt: skip
def test_a_layer_by_the_first_word(name: str, layer: str) -> None:
    assert layer_of(name) == layer


def path_names(trace: Trace) -> list[str]:
    tree = build(trace.rows)
    known = {node.row.span_id: node.name for node in tree.spans()}
    return [known[span_id] for span_id in critical_path(tree.root).slowest]


def test_only_what_ended_last_was_waited_for() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 100)
    trace.span("first", 0, 30, root)
    beside = trace.span("beside", 30, 80, root)
    last = trace.span("last", 30, 95, root)
    path = critical_path(build(trace.rows).root)
    assert path.seconds(last) == pytest.approx(0.065)
    assert path.seconds(beside) == 0
    assert path_names(trace) == ["root", "last"]


def test_the_slowest_path_ends_where_the_work_was() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 100)
    quick = trace.span("quick", 0, 20, root)
    trace.span("quick inside", 0, 19, quick)
    slow = trace.span("slow", 20, 95, root)
    trace.span("trifle", 30, 32, slow)
    assert path_names(trace) == ["root", "slow"]


def test_a_child_beyond_its_parent_is_waited_for_up_to_the_parents_end() -> None:
    trace = Trace(1)
    root = trace.span("root", 0, 10)
    late = trace.span("late", 5, 50, root)
    path = critical_path(build(trace.rows).root)
    assert path.seconds(late) == pytest.approx(0.005)
    assert path.seconds(root) == pytest.approx(0.010)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_waited_for_twice(seed: int) -> None:
    dice = random.Random(seed)
    trace = Trace(1)
    ids = [trace.span("root", 0, 100)]
    for _ in range(20):
        start = dice.randint(0, 90)
        ids.append(trace.span("x", start, start + dice.randint(0, 30), dice.choice(ids)))
    tree = build(trace.rows)
    path = critical_path(tree.root)
    for node in tree.root.walk():
        pieces = sorted(piece for child in node.children for piece in path.waited.get(child.row.span_id, ()))
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(pieces))
        allowed = path.waited.get(node.row.span_id, [])
        assert all(any(b <= begin and end <= e for b, e in allowed) for begin, end in pieces)
