"""Durations by what was done: counts, errors and percentiles."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from autoperf.insight.facts.tally import timed
from autoperf.insight.traces.layers import OF_A_CALL, operation
from autoperf.insight.traces.tree import Node
from autoperf.memo.series import ranked
from autoperf.telemetry import names

# Distinct names are the host's, or a model's inventions: a bound for memory and for the page.
_KEYS_KEPT: Final = 2000
OTHER: Final = "(other)"
# The kind under which `Timings` keeps how long a model took to begin its answer.
FIRST_CHUNK: Final = "first chunk"
# That and the layers of a model call, with the attributes that hold their seconds.
PARTS: Final = {FIRST_CHUNK: names.TIME_TO_FIRST_CHUNK, **OF_A_CALL}
# These become spans only where they took long: what is faster now is not among them, so their percentiles
# before and after are of different things.
ONLY_IF_SLOW: Final = frozenset((names.EXTENSIONS, names.EXTENSION, names.COMPRESS_HISTORY))


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one thing took; percentiles by nearest rank: always a value that was measured."""

    kind: str
    name: str
    count: int
    errors: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    total_ms: float

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


# Where the name of a span does not tell what it was done to.
_NAMED_BY: Final = {names.EXECUTE_TOOL: names.TOOL_NAME, names.MCP_CONNECT: names.MCP_SERVER}


class Timings:
    """Durations of spans by kind and name, beyond 2,000 names under ``(other)``."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], array[float]] = {}
        self._errors: dict[tuple[str, str], int] = {}

    def add(self, spans: Iterable[Node], key: Callable[[Node], tuple[str, str] | None] | None = None) -> None:
        """Count ``spans`` in; those cut off or stopped from outside say nothing about how long they take.

        ``key`` gives the kind and name to count one under, or None for none; by default operation and name.
        """
        for node in spans:
            attributes = node.row.attributes
            if not timed(attributes):
                continue
            under = named(node) if key is None else key(node)
            if under is None:
                continue
            self._put(under, node.duration_ns / 1e6, node.failed)
            for kind, attribute in PARTS.items():
                seconds = attributes.get(attribute)
                if isinstance(seconds, (int, float)) and operation(node.name) == names.CHAT:
                    self._put((kind, node.name.partition(" ")[2]), seconds * 1e3, False)

    def _put(self, key: tuple[str, str], milliseconds: float, failed: bool) -> None:
        if key not in self._values and len(self._values) >= _KEYS_KEPT:
            key = (key[0], OTHER)
        self._values.setdefault(key, array("d")).append(milliseconds)
        self._errors[key] = self._errors.get(key, 0) + failed

    def rows(self, *kinds: str) -> list[Timing]:
        """What was timed, most time first; with ``kinds`` only those."""
        rows = []
        for (kind, name), values in self._values.items():
            if kinds and kind not in kinds:
                continue
            ordered = sorted(values)
            p50, p95 = ranked(ordered, 0.5) or 0.0, ranked(ordered, 0.95) or 0.0
            rows.append(
                Timing(
                    kind, name, len(ordered), self._errors[kind, name],
                    p50, p95, ordered[-1], sum(ordered),
                )
            )  # fmt: skip
        return sorted(rows, key=lambda row: (-row.total_ms, row.kind, row.name))

    def durations(self, row: Timing) -> list[float]:
        """Every duration (ms) of one of `rows`, in the order they were counted in."""
        return list(self._values[row.kind, row.name])

    def values(self, kind: str) -> list[tuple[str, list[float]]]:
        """Every duration (ms) of one kind by name, in the order of `rows`."""
        return [(row.name, list(self._values[kind, row.name])) for row in self.rows(kind)]


def named(node: Node) -> tuple[str, str]:
    """The kind and the name that a span is counted under."""
    kind = operation(node.name)
    attribute = _NAMED_BY.get(kind)
    what = node.row.attributes.get(attribute) if attribute else None
    return kind, str(what or node.name.partition(" ")[2])
