"""Wall-clock time shared out among the spans of a trace, so that the shares add up to the whole."""

from __future__ import annotations

from collections.abc import Iterable

from autoperf.insight.traces.tree import Node, Tree


def covered_ns(nodes: Iterable[Node]) -> int:
    """Nanoseconds during which at least one of ``nodes`` was open."""
    total = until = 0
    for node in sorted(nodes, key=lambda node: node.start_ns):
        total += max(0, node.end_ns - max(node.start_ns, until))
        until = max(until, node.end_ns)
    return total


def shares(tree: Tree) -> dict[str, float]:
    """Nanoseconds of the wall clock that each span, by its id, has to itself.

    Every instant belongs to the innermost spans that are open then; where several run at once they share
    it equally. The sum is the time during which any span was open: never more than the trace took,
    however much ran in parallel. A span that outlives its parent counts until its own end.
    """
    events = []
    for node in tree.spans():
        events.append((node.start_ns, 1, node))
        events.append((node.end_ns, 0, node))
    # Ends before starts: at one instant a span that follows another does not run beside it.
    events.sort(key=lambda event: event[:2])
    share = {node.row.span_id: 0.0 for node in tree.spans()}
    open_children: dict[str, int] = {}
    running: set[str] = set()
    joined: dict[str, float] = {}  # innermost spans, with the clock's reading when they became that
    clock = 0.0  # what one innermost span would have got, had it been there from the start
    last = 0

    def leave(span_id: str) -> None:
        if span_id in joined:
            share[span_id] += clock - joined.pop(span_id)

    for now, starts, node in events:
        if joined:
            clock += (now - last) / len(joined)
        last = now
        span_id, above = node.row.span_id, node.parent.row.span_id if node.parent else ""
        if starts:
            if node.duration_ns == 0:
                continue
            running.add(span_id)
            open_children[above] = open_children.get(above, 0) + 1
            leave(above)
            if not open_children.get(span_id):
                joined[span_id] = clock
        elif node.duration_ns:
            running.discard(span_id)
            leave(span_id)
            open_children[above] -= 1
            if above in running and not open_children[above]:
                joined[above] = clock
    return share
