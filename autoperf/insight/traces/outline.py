"""A tree of spans as the lines worth a person's time: what is cheap and repeated becomes one line."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from autoperf.insight.traces.layers import operation
from autoperf.insight.traces.tree import Node, Tree
from autoperf.telemetry import names

_CHEAP_SHARES: Final = (0.01, 0.02, 0.04, 0.08)
_ALIKE_SHOWN: Final = 25


@dataclass(frozen=True, slots=True)
class Line:
    """One span, or siblings folded into one line; ``hidden`` counts the spans below that have no line."""

    depth: int
    nodes: tuple[Node, ...]
    hidden: int = 0

    @property
    def label(self) -> str:
        """``execute_tool search``, or ``12 x tool_lookup``: text of strangers, to be made harmless."""
        first = self.nodes[0].name
        if len(self.nodes) == 1:
            number = self.nodes[0].row.attributes.get(names.STEP_NUMBER)
            return f"{first} {number}" if first == names.STEP and isinstance(number, int) else first
        alike = all(node.name == first for node in self.nodes)
        return f"{len(self.nodes):,} x {first if alike else operation(first)}"

    @property
    def duration_ns(self) -> int:
        """Of the span, or of all folded ones together."""
        return sum(node.duration_ns for node in self.nodes)

    @property
    def errors(self) -> int:
        """How many of the spans on this line failed themselves."""
        return sum(node.failed for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Outline:
    """``lines`` from the root down; ``left_out`` counts the spans that the limit cut away."""

    lines: tuple[Line, ...]
    left_out: int


def outline(
    tree: Tree, slowest: Collection[str], *, fit: int, limit: int = 1000, whole: bool = False
) -> Outline:
    """At most ``limit`` lines; ``whole`` folds nothing.

    Folded are siblings of one kind that each took under 1 % of the trace, and of many of one kind all but
    the 25 slowest. What failed or was cut off is not folded for being quick, nor is the slowest path. Where
    that leaves more than ``fit`` lines, the 1 % become 2, 4, 8, and what holds only quick spans stays closed.
    """
    notable = set(slowest) | _troubled(tree)
    for share in _CHEAP_SHARES:
        cheap_ns = 0 if whole else tree.root.duration_ns * share
        found = _drawn(tree, notable, cheap_ns, limit, whole, terse=share > _CHEAP_SHARES[0])
        if whole or len(found.lines) <= fit:
            break
    return found


def _drawn(
    tree: Tree, notable: Collection[str], cheap_ns: float, limit: int, whole: bool, *, terse: bool
) -> Outline:
    lines: list[Line] = []
    todo = [Line(0, (tree.root,))]
    shown = 0
    while todo and len(lines) < limit:
        line = todo.pop()
        if len(line.nodes) == 1 and not line.hidden:
            groups = _groups(line.nodes[0].children, notable, cheap_ns, whole)
            if terse and not any(opened for _, opened in groups):
                line = Line(line.depth, line.nodes, _below(line.nodes))
                groups = []
            below = [
                Line(line.depth + 1, tuple(group), 0 if opened else _below(group)) for group, opened in groups
            ]
            todo.extend(reversed(below))
        lines.append(line)
        shown += len(line.nodes) + line.hidden
    total = sum(1 for _ in tree.root.walk())
    return Outline(tuple(lines), total - shown)


def _groups(
    children: Iterable[Node], notable: Collection[str], cheap_ns: float, whole: bool
) -> list[tuple[list[Node], bool]]:
    """Groups by the start of their first, each with whether its (only) span is opened."""
    quick: dict[str, list[Node]] = {}
    plain: dict[str, list[Node]] = {}
    for child in children:
        if whole or child.row.span_id in notable or child.duration_ns >= cheap_ns:
            plain.setdefault(operation(child.name), []).append(child)
        else:
            quick.setdefault(operation(child.name), []).append(child)
    groups = [(group, False) for group in quick.values()]
    for group in plain.values():
        if not whole and len(group) > _ALIKE_SHOWN:
            group.sort(key=lambda node: (node.row.span_id not in notable, -node.duration_ns))
            rest = sorted(group[_ALIKE_SHOWN:], key=lambda node: node.start_ns)
            groups.append((rest, False))
            del group[_ALIKE_SHOWN:]
        groups += [([node], True) for node in group]
    return sorted(groups, key=lambda group: group[0][0].start_ns)


def _troubled(tree: Tree) -> set[str]:
    """Ids of spans that failed or were cut off, or have such a span below them."""
    found: set[str] = set()
    for node in tree.spans():
        if node.failed or node.row.attributes.get(names.CUT_OFF):
            above: Node | None = node
            while above is not None and above.row.span_id not in found:
                found.add(above.row.span_id)
                above = above.parent
    return found


def _below(group: Iterable[Node]) -> int:
    return sum(sum(1 for _ in node.walk()) - 1 for node in group)
