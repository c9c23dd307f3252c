"""Metrics of one process: measured by wrappers, read from our counters and the system, sent at intervals."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import guarded
from autoperf.telemetry import names
from autoperf.telemetry.attributes import plain
from autoperf.telemetry.export.otlp import METRICS, Sender, Target
from autoperf.telemetry.metrics import instruments, meters
from autoperf.telemetry.metrics.loop_lag import Loops
from autoperf.telemetry.metrics.vitals import Vitals
from autoperf.telemetry.pipeline import Pipeline
from autoperf.telemetry.variables import Variables

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

_DEFAULT_INTERVAL_MS: Final = 60_000
_SHORTEST_INTERVAL_S: Final = 0.1
_WAITING: Final = 8
_FRESH_S: Final = 0.5


class _Export:
    """One collection and the targets that do not have it yet."""

    def __init__(self, data: MetricsData, senders: Iterable[Sender]) -> None:
        self.data = data
        self.missing = list(senders)


class Metrics:
    """Instruments in a private provider, or in the one that the host has made global; then it exports.

    ``snapshot()`` gives the counters of this process and ``base`` what they were when it began, which in a
    forked child is not nothing. One thread of our own collects, sends, and asks event loops for their lag.
    """

    def __init__(
        self,
        targets: list[Target],
        resource: Resource,
        snapshot: Callable[[], Mapping[str, Any]],
        report: Callable[[Target, str], None],
        *,
        base: Mapping[str, Any],
        variables: Variables,
    ) -> None:
        self._live = True
        self._snapshot = snapshot
        self._base = {
            (row.name, *attributes.items()): value
            for row in instruments.OBSERVED
            if row.kind == instruments.COUNTER
            for value, attributes in row.read(base)
        }
        self._vitals = Vitals()
        self._state: dict[str, Any] = {}
        self._read_at = -math.inf
        self._reading = threading.Lock()
        self.loops = Loops()
        self._senders = [
            Sender(
                target,
                lambda line, target=target: report(target, line),  # type: ignore[misc]
                METRICS,
                variables.exporter(target.kind, METRICS),
            )
            for target in targets
        ]
        self._interval = _interval(variables)
        self._due = time.monotonic() + self._interval
        provider, self._reader = meters.make_provider(resource, variables)
        self._in_host_provider = False
        self._record = meters.make_instruments(provider, self._observe)
        self._pipeline: Pipeline[_Export] = Pipeline(
            "metrics",
            self._deliver,
            tick=self._tick,
            capacity=_WAITING,
            batch=1,
            interval=min(1.0, self._interval),
            may_block=True,
            ready=lambda: all(sender.ready() for sender in self._senders),
        )

    def start(self) -> None:
        """Start the thread."""
        self._pipeline.start()

    def use(self, host: MeterProvider) -> None:
        """Measure into a provider of the host's from now on; it does the exporting."""
        if not self._in_host_provider:
            self._record = meters.make_instruments(host, self._observe)
            self._in_host_provider = True  # last: who asks for it measures the next moment

    @property
    def wanted(self) -> bool:
        """Whether anybody takes what is measured."""
        return self._live and (self._in_host_provider or not all(sender.refused for sender in self._senders))

    @property
    def in_host_provider(self) -> bool:
        """Whether the host exports what is measured."""
        return self._in_host_provider

    def measure(
        self, name: str, value: float, attributes: Mapping[str, Any] | None, example: Context | None = None
    ) -> None:
        """Record one value of a histogram, with the span in ``example`` as its example.

        What is no number of 0 or more is passed over.
        """
        with guarded("telemetry:measure"):
            if 0 <= value < math.inf:
                given = {k: plain(v) for k, v in (attributes or {}).items() if v is not None}
                self._record[name](value, given, example)

    # -- reading

    def _observe(self, row: instruments.Observed) -> list[instruments.Reading]:
        found: list[instruments.Reading] = []
        with guarded("telemetry:metrics"):
            if self._live:
                for value, attributes in row.read(self._now()):
                    before = self._base.get((row.name, *attributes.items()), 0)
                    found.append((value - before, attributes))
        return found

    def _now(self) -> dict[str, Any]:
        # All instruments of one collection, which a provider of the host's does not announce, see one moment.
        with self._reading:
            if time.monotonic() - self._read_at >= _FRESH_S:
                self._state = {**self._snapshot(), "process": self._vitals.read()}
                self._read_at = time.monotonic()
            return self._state

    # -- on our thread

    def _tick(self) -> None:
        self._take_lags()
        if self.wanted:
            self.loops.ask()
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._interval
            self._collect()

    def _take_lags(self) -> None:
        for seconds, thread in self.loops.answers():
            self.measure(names.LOOP_LAG, seconds, {names.LOOP_THREAD: thread})

    def _collect(self) -> None:
        open_to = [sender for sender in self._senders if not sender.refused]
        if self._in_host_provider or not open_to:
            return
        self._read_at = -math.inf
        data = self._reader.take()
        if data is not None:
            self._pipeline.put(_Export(data, open_to))

    def _deliver(self, exports: list[_Export]) -> bool:
        for export in exports:
            export.missing = [one for one in export.missing if not (one.refused or one.deliver(export.data))]
        return not any(export.missing for export in exports)

    # -- the end

    def flush(self) -> threading.Event:
        """Collect and send now; set when done."""
        return self._pipeline.order(self._collect_last)

    def finish(self) -> threading.Event:
        """Collect and send a last time and end the thread; set when done."""
        return self._pipeline.order(self._collect_last, stop=True)

    def _collect_last(self) -> None:
        self._take_lags()
        self._collect()

    def close(self) -> None:
        """Measure and read nothing any more."""
        self._live = False
        for sender in self._senders:
            sender.close()

    def counts(self) -> dict[str, Any]:
        """Collections waiting and dropped, and for every exporter how many arrived and what is wrong."""
        return {
            "host_provider": self._in_host_provider,
            "waiting": self._pipeline.waiting,
            "dropped": self._pipeline.dropped,
            "exporters": [
                {
                    "kind": sender.target.kind,
                    "endpoint": sender.target.endpoint,
                    "sent": sender.sent,
                    "problem": sender.problem,
                    "refused": sender.refused,
                }
                for sender in self._senders
            ],
        }


def _interval(variables: Variables) -> float:
    # OpenTelemetry specification: milliseconds.
    given = variables.positive("OTEL_METRIC_EXPORT_INTERVAL", _DEFAULT_INTERVAL_MS)
    return max(_SHORTEST_INTERVAL_S, given / 1000)
