"""What the end of a trace had to wait for, and the slowest path from its root downwards."""

from __future__ import annotations

from dataclasses import dataclass

from autoperf.insight.traces.layers import UNEXPLAINED, parts_of
from autoperf.insight.traces.tree import Node, Tree


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """By span id: when, in ns since the epoch, the trace's end depended on it or on what ran below it.

    ``slowest`` are the ids from the root downwards, at each level the one that was waited for longest, until
    a span was itself at work for longer than that.
    """

    waited: dict[str, list[tuple[int, int]]]
    slowest: tuple[str, ...]

    def seconds(self, span_id: str) -> float:
        """For how long the end depended on this span."""
        return sum(end - start for start, end in self.waited.get(span_id, ())) / 1e9

    def seconds_by_layer(self, tree: Tree) -> dict[str, float]:
        """What the end of ``tree`` waited for, by layer; the sum is how long the root took."""
        sums: dict[str, float] = {}
        known = parts_of(tree)
        for node in tree.spans():
            parts = known[node.row.span_id]
            below = sum(self.seconds(child.row.span_id) for child in node.children)
            own, whole = self.seconds(node.row.span_id) - below, sum(parts.values())
            if not whole:  # all of it ran beside others
                parts, whole = {UNEXPLAINED: 1.0}, 1.0
            for layer, ns in parts.items():
                sums[layer] = sums.get(layer, 0.0) + own * ns / whole
        return {layer: seconds for layer, seconds in sums.items() if seconds > 0}


def critical_path(root: Node) -> CriticalPath:
    """Follow the trace backwards from its end: each time to the child that ended last before.

    The same definition as Jaeger's. What ran beside it, and ended earlier, made nobody wait. A child that
    outlives its parent was waited for up to the parent's end only.
    """
    waited: dict[str, list[tuple[int, int]]] = {}
    todo = [(root, root.start_ns, root.end_ns)]
    while todo:
        node, start, end = todo.pop()
        waited.setdefault(node.row.span_id, []).append((start, end))
        cursor = end
        for child in sorted(node.children, key=lambda child: -min(child.end_ns, end)):
            child_end, child_start = min(child.end_ns, end), max(child.start_ns, start)
            if child_end <= cursor and child_start < child_end:
                todo.append((child, child_start, child_end))
                cursor = child_start
    return CriticalPath(waited, _slowest(root, waited))


def _slowest(root: Node, waited: dict[str, list[tuple[int, int]]]) -> tuple[str, ...]:
    def cost(node: Node) -> int:
        return sum(end - start for start, end in waited.get(node.row.span_id, ()))

    path, node = [root.row.span_id], root
    while node.children:
        slowest = max(node.children, key=cost)
        own = cost(node) - sum(map(cost, node.children))
        if cost(slowest) <= own:
            break
        node = slowest
        path.append(node.row.span_id)
    return tuple(path)
