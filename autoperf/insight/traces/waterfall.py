"""A trace as bars on one time axis: what a terminal and a page both draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autoperf.errors.wording import milliseconds
from autoperf.insight.traces.critical_path import critical_path
from autoperf.insight.traces.layers import LAYERS, UNEXPLAINED, call_seconds, layers_of, seconds_by_layer
from autoperf.insight.traces.outline import Line, outline
from autoperf.insight.traces.tree import Node, Tree
from autoperf.telemetry import names

# No screen tells more pieces of one bar apart.
_RESOLUTION: Final = 1000
_SHORT: Final = (names.SHORT_NAMES, names.SHORT_COUNTS, names.SHORT_SECONDS)
_SHORT_TOLD: Final = 5

Piece = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line. ``pieces`` and ``waited`` lie between 0 and 1 on the trace's time axis.

    ``waited`` is when the trace's end depended on it. ``seconds`` of folded spans are their sum, ``longest``
    that of the longest. ``hidden`` counts spans below that have no line. ``note`` says of the root what
    is unexplained, and of a model call what took most of it.
    """

    depth: int
    label: str
    layer: str
    pieces: tuple[Piece, ...]
    waited: tuple[Piece, ...]
    seconds: float
    longest: float
    begins: float
    count: int
    errors: int
    hidden: int
    slowest: bool
    cut_off: bool
    attributes: Mapping[str, Any]
    status: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All bars of one trace; ``notes`` are sentences about what is missing or odd, for a person."""

    bars: tuple[Bar, ...]
    seconds: float
    start_ns: int
    notes: tuple[str, ...]


def waterfall(tree: Tree, *, fit: int, limit: int = 1000, whole: bool = False) -> Waterfall:
    """Bars for ``tree``, ``limit`` at most; see `outline` for what is folded, and ``fit``."""
    path = critical_path(tree.root)
    lines = outline(tree, path.slowest, fit=fit, limit=limit, whole=whole)
    start = min(node.start_ns for node in tree.root.walk())
    span = max(max(node.end_ns for node in tree.root.walk()) - start, 1)
    slowest = set(path.slowest)
    layers = layers_of(tree)

    def bar(line: Line) -> Bar:
        first = line.nodes[0]
        alone = len(line.nodes) == 1
        moments = (moment for node in line.nodes for moment in path.waited.get(node.row.span_id, ()))
        return Bar(
            line.depth,
            line.label,
            layers.get(first.row.span_id, UNEXPLAINED),
            _on_axis(((node.start_ns, node.end_ns) for node in line.nodes), start, span),
            _on_axis(moments, start, span),
            line.duration_ns / 1e9,
            max(node.duration_ns for node in line.nodes) / 1e9,
            (min(node.start_ns for node in line.nodes) - start) / 1e9,
            len(line.nodes),
            line.errors,
            line.hidden,
            alone and first.row.span_id in slowest,
            any(node.row.attributes.get(names.CUT_OFF) is True for node in line.nodes),
            first.row.attributes if alone else {},
            first.row.status if alone else "",
            note(first) if alone else "",
        )

    def note(node: Node) -> str:
        if node is tree.root and tree.complete:
            unexplained = seconds_by_layer(tree).get(UNEXPLAINED, 0.0)
            return f"{LAYERS[UNEXPLAINED]} {milliseconds(unexplained * 1e3)}"
        known = call_seconds(node.row.attributes)
        layer = layers.get(node.row.span_id, UNEXPLAINED)
        return f"{layer} {milliseconds(known[layer] * 1e3)}" if layer in known else ""

    notes = _notes(tree, lines.left_out)
    return Waterfall(tuple(bar(line) for line in lines.lines), span / 1e9, start, notes)


def _on_axis(intervals: Iterable[tuple[int, int]], start: int, span: int) -> tuple[Piece, ...]:
    """Shares of the axis, those that touch at its resolution made one."""
    pieces: list[Piece] = []
    for begin, end in sorted(intervals):
        left, right = (begin - start) / span, (end - start) / span
        if pieces and left <= pieces[-1][1] + 1 / _RESOLUTION:
            pieces[-1] = (pieces[-1][0], max(pieces[-1][1], right))
        else:
            pieces.append((left, right))
    return tuple(pieces)


def _notes(tree: Tree, left_out: int) -> tuple[str, ...]:
    notes = [f"Set going by trace {trace_id[:8]}." for trace_id, _ in tree.root.row.links]
    if not tree.complete:
        notes.append("The root is not recorded: the turn still goes on, or its process was killed.")
    if tree.orphans:
        notes.append(f"Spans whose parent is not recorded: {tree.orphans:,}; they are shown at the top.")
    if tree.odd_clocks:
        notes.append(f"Spans that lie partly outside their parent: {tree.odd_clocks:,}.")
    short = _short(tree)
    if short:
        told = ", ".join(f"{n:,} x {name} {milliseconds(s * 1e3)}" for name, (n, s) in short[:_SHORT_TOLD])
        notes.append(f"Too short for spans, added up by name: {told}.")
    if left_out:
        notes.append(f"Spans without a line here: {left_out:,}.")
    return tuple(notes)


def _short(tree: Tree) -> list[tuple[str, tuple[int, float]]]:
    """What had no spans of its own, by name: how often and how many seconds, most time first."""
    sums: dict[str, tuple[int, float]] = {}
    for node in tree.spans():
        told = [node.row.attributes.get(key) for key in _SHORT]
        if all(isinstance(one, (list, tuple)) for one in told):
            for name, number, seconds in zip(*told, strict=False):
                count, total = sums.get(str(name), (0, 0.0))
                sums[str(name)] = count + int(number), total + float(seconds)
    return sorted(sums.items(), key=lambda item: -item[1][1])
