"""The spans of one trace as a tree, whatever is missing, late or out of order among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from autoperf.telemetry.store.tables import SpanRow

UNRECORDED = "(root not recorded yet)"


@dataclass(eq=False, slots=True)
class Node:
    """One span with its children by start time; ``end_ns`` is never before ``start_ns``."""

    row: SpanRow
    start_ns: int
    end_ns: int
    depth: int = 0
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The span's name as it was recorded: text of strangers."""
        return self.row.name

    @property
    def duration_ns(self) -> int:
        """From start to end, at least 0."""
        return self.end_ns - self.start_ns

    @property
    def failed(self) -> bool:
        """Whether the span ended with an error."""
        return self.row.status == "error"

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first; no recursion, for trees of any depth."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


@dataclass(eq=False, slots=True)
class Tree:
    """One trace. ``root`` stands for the whole; ``orphans`` counts spans whose parent is not there.

    A trace whose root has not ended, or that has several, gets a root that no span stands for:
    ``complete`` is False then, and `spans` passes it over.
    """

    root: Node
    complete: bool
    orphans: int
    odd_clocks: int

    def spans(self) -> Iterator[Node]:
        """Every recorded span, parents first."""
        nodes = self.root.walk()
        if not self.complete:
            next(nodes)
        return nodes


def build(rows: Sequence[SpanRow]) -> Tree:
    """The tree of ``rows``, at least one, all of one trace.

    ``odd_clocks`` counts spans that end before they start, or lie partly outside their parent.
    """
    nodes = {row.span_id: Node(row, row.start_ns, max(row.start_ns, row.end_ns)) for row in rows}
    tops, orphans = _linked(nodes)
    odd = sum(row.end_ns < row.start_ns for row in rows)
    odd += sum(
        node.start_ns < node.parent.start_ns or node.end_ns > node.parent.end_ns
        for node in nodes.values()
        if node.parent is not None
    )
    complete = len(tops) == 1 and tops[0].row.parent_id is None
    root = tops[0] if complete else _stand_in(tops)
    for node in root.walk():
        node.children.sort(key=lambda child: (child.start_ns, -child.end_ns))
        for child in node.children:
            child.depth = node.depth + 1
    return Tree(root, complete, orphans, odd)


def _linked(nodes: dict[str, Node]) -> tuple[list[Node], int]:
    tops = []
    orphans = 0
    for node in nodes.values():
        above = nodes.get(node.row.parent_id or "")
        if above is None:
            orphans += node.row.parent_id is not None
            tops.append(node)
        else:
            node.parent = above
            above.children.append(node)
    reached = {id(node) for top in tops for node in top.walk()}
    for node in nodes.values():
        # Parents in a circle, as no healthy program writes them: cut it open where it is met first.
        if id(node) not in reached:
            if node.parent is not None:
                node.parent.children.remove(node)
                node.parent = None
            orphans += 1
            tops.append(node)
            reached.update(id(below) for below in node.walk())
    return tops, orphans


def _stand_in(tops: list[Node]) -> Node:
    first, last = min(top.start_ns for top in tops), max(node.end_ns for top in tops for node in top.walk())
    row = tops[0].row._replace(
        span_id="", parent_id=None, name=UNRECORDED, kind="internal", start_ns=first, end_ns=last,
        status="unset", attributes={}, links=(),
    )  # fmt: skip
    root = Node(row, first, last, children=list(tops))
    for top in tops:
        top.parent = root
    return root
