"""Many traces as one report: shares by layer, timings, caches, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from autoperf.insight.compare.differences import Difference, changes
from autoperf.insight.facts.caches import Cache, caches
from autoperf.insight.facts.cost import Cost, costs
from autoperf.insight.facts.process import Process
from autoperf.insight.facts.tally import Tokens
from autoperf.insight.traces.callbacks import Callbacks, details
from autoperf.insight.traces.layers import LAYERS, cpu_by_layer, seconds_by_layer
from autoperf.insight.traces.summary import Summary
from autoperf.insight.traces.timings import Timing, Timings
from autoperf.insight.traces.tree import build
from autoperf.insight.traces.waterfall import Waterfall, waterfall
from autoperf.telemetry import names
from autoperf.telemetry.store.tables import SpanRow

LINES_PER_TRACE: Final = 250
_LINES_AT_A_GLANCE: Final = 80
LINES_PER_REPORT: Final = 4000


@dataclass(frozen=True, slots=True)
class TraceReport:
    """One trace; ``waterfall`` is None where the report has had its share of lines."""

    summary: Summary
    layers: dict[str, float]
    waterfall: Waterfall | None


@dataclass(frozen=True, slots=True)
class Before:
    """What the traces are compared with: in words, how many messages, and each thing in both."""

    description: str
    messages: int
    changes: list[Difference]


@dataclass
class Report:
    """Everything a page or a terminal shows; times in seconds unless they say otherwise.

    ``cpu`` holds CPU seconds of the agent's thread by layer, of those where they are measured.
    ``samples`` and ``stalls`` are the monitor's, as the store gives them, of the time of these traces.
    """

    source: str
    made_at: float
    version: str
    traces: list[TraceReport] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)
    processes: list[Process] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    before: Before | None = None
    spans: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    stalls: list[dict[str, Any]] = field(default_factory=list)
    callbacks: Callbacks = field(default_factory=Callbacks)
    cpu: dict[str, float] = field(default_factory=dict)
    _lines: int = 0

    def add(self, summary: Summary, rows: Sequence[SpanRow]) -> None:
        """Count one trace in, with all ``rows`` of it that were read."""
        tree = build(rows)
        drawn = None
        if self._lines < LINES_PER_REPORT:
            limit = min(LINES_PER_TRACE, LINES_PER_REPORT - self._lines)
            drawn = waterfall(tree, fit=_LINES_AT_A_GLANCE, limit=limit)
            self._lines += len(drawn.bars)
        self.timings.add(tree.spans())
        self.callbacks.add(tree.spans())
        for layer, seconds in cpu_by_layer(tree).items():
            self.cpu[layer] = self.cpu.get(layer, 0.0) + seconds
        self.spans += len(rows)
        self.traces.append(TraceReport(summary, seconds_by_layer(tree), drawn))

    def compare(self, description: str, messages: int, before: Timings) -> None:
        """Put ``before`` beside what this report counted."""
        self.before = Before(description, messages, changes(before, self.timings))

    @property
    def layers(self) -> dict[str, float]:
        """Seconds by layer over all traces, in the order of `LAYERS`."""
        sums = {layer: sum(trace.layers.get(layer, 0.0) for trace in self.traces) for layer in LAYERS}
        return {layer: seconds for layer, seconds in sums.items() if seconds > 0}

    def details(self, layer: str) -> str:
        """What is known of a layer beyond its seconds: its CPU time, and what took most of it; or ""."""
        return details(layer, self.cpu, self.callbacks)

    @property
    def tools(self) -> list[Timing]:
        """Tools by name, most time first."""
        return self.timings.rows(names.EXECUTE_TOOL)

    @property
    def models(self) -> list[Timing]:
        """Model calls by model."""
        return self.timings.rows(names.CHAT)

    @property
    def own(self) -> Cost | None:
        """What autoperf took in the processes that recorded these traces; None where none tells it."""
        return costs(*(process.record for process in self.processes))

    def total(self, attribute: str) -> int | None:
        """The sum of a number of `Summary` over all traces; None where no trace has it."""
        numbers = [getattr(trace.summary, attribute) for trace in self.traces]
        known = [number for number in numbers if number is not None]
        return sum(known) if known else None

    @property
    def tokens(self) -> Tokens:
        """The tokens of all traces, and what they cover."""
        return sum((trace.summary.tokens for trace in self.traces), Tokens())

    @property
    def caches(self) -> dict[str, Cache]:
        """What the processes that recorded these traces were asked and kept, added up."""
        return caches(*(process.record for process in self.processes))

    @property
    def process_lines(self) -> list[str]:
        """What is said of each of these processes: how it is, its patches, and what it lost."""
        return [line for process in self.processes for line in process.lines]

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "source": self.source,
            "made_at": self.made_at,
            "autoperf": self.version,
            "traces": [trace.summary.as_row() | {"layers": trace.layers} for trace in self.traces],
            "spans": self.spans,
            "seconds_by_layer": self.layers,
            "cpu_seconds_by_layer": self.cpu,
            "callbacks": self.callbacks.as_row(),
            "cost": None if self.own is None else self.own.as_row(),
            "timings": [row.as_row() for row in self.timings.rows()],
            "tokens": asdict(self.tokens),
            "caches": {name: one.as_row() for name, one in self.caches.items()},
            "processes": [
                {"pid": process.record.get("pid"), **process.as_row()["facts"]} for process in self.processes
            ],
            "before": self.before
            and {
                "description": self.before.description,
                "messages": self.before.messages,
                "changes": [one.as_row() for one in self.before.changes],
            },
            "left_out": self.left_out,
        }
