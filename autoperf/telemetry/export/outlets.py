"""Where telemetry leaves the process: the local store, with the record of the process, and the exporters."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from autoperf.errors import guarded
from autoperf.telemetry.pipeline import CAPACITY, Pipeline
from autoperf.telemetry.store.store import SpanRow, Store

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from autoperf.telemetry.export.otlp import Sender, Target
    from autoperf.telemetry.export.root_sums import RootSums
    from autoperf.telemetry.metrics.metrics import Metrics
    from autoperf.telemetry.provider import Finished
    from autoperf.telemetry.variables import Variables

# The share of the time at the end that is kept for the last record.
_FOR_THE_RECORD: Final = 0.05
_EXIT: Final = "telemetry:exit"
Report = Callable[[str], None]
Snapshot = Callable[[], Mapping[str, Any]]


class Outlets:
    """The store, the exporters of spans and the metrics, each on a thread of its own.

    ``snapshot()`` describes the process; the record of it in the store is renewed when it has changed. It is
    asked every second, more seldom while ``rests()`` is true and no span is open.
    """

    def __init__(self, directory: Path, max_bytes: int, report: Report, snapshot: Snapshot) -> None:
        self.instance = str(uuid.uuid4())
        self.metrics: Metrics | None = None
        self.in_host_provider = False
        self.resource: dict[str, Any] = {}
        self._report = report
        self._snapshot = snapshot
        self._described: dict[str, Any] = {}
        self._started = time.time()
        self._over = self._closed = False
        self._saved, self._saved_in = "", 0
        self._seen: tuple[Mapping[str, Any], Mapping[str, Any]] = {}, {}
        self.store = Store.open(directory, max_bytes=max_bytes, report=report)
        self.open_spans: Callable[[], Iterable[Finished]] = tuple
        self._to_store: Pipeline[Finished] = Pipeline(
            "store", self._deliver, tick=self.tick, rests=self._at_rest
        )
        self.wake = self._to_store.wake
        self._senders: list[tuple[Sender, Pipeline[Finished]]] = []
        self.root_sums: RootSums | None = None
        self.on_tick: Callable[[], None] = _nothing
        self.rests: Callable[[], bool] = bool

    def add_exporters(self, variables: Variables) -> None:
        """Make the exporters of spans that the standard variables ask for."""
        from autoperf.telemetry.export import otlp

        targets, problems = otlp.targets()
        variables.problems += problems
        for target in targets:
            told = variables.exporter(target.kind, otlp.TRACES)
            sender = otlp.Sender(target, self._report, told=told)
            self._senders.append((sender, _pipeline(sender, self._send, variables)))

    def add_metrics(self, resource: Resource, variables: Variables, *, again: bool) -> None:
        """Measure, if the standard variables name somewhere for metrics to go."""
        from autoperf.telemetry.export import otlp

        self._resource, self._variables, self._calm = resource, variables, otlp.Calm()
        targets, problems = otlp.targets(signal=otlp.METRICS)
        variables.problems += problems
        if targets:
            self._measure(targets, self._snapshot() if again else {})

    def use_host_meters(self) -> None:
        """Measure into the metrics provider that the host has made global, if it has."""
        api = sys.modules.get("opentelemetry.metrics._internal")
        if getattr(api, "_METER_PROVIDER", None) is None or not (self.metrics or self._calm.reached()):
            return  # nobody has set one, or importing what asks it would cross the host's own imports
        from autoperf.telemetry.metrics.meters import host_provider

        host = host_provider()
        if host is not None:
            if self.metrics is None:
                self._measure([], {}).start()
            if self.metrics is not None:
                self.metrics.use(host)

    @property
    def wanted_metrics(self) -> Metrics | None:
        """The metrics while anybody takes them."""
        return self.metrics if self.metrics is not None and self.metrics.wanted else None

    def _measure(self, targets: list[Target], base: Mapping[str, Any]) -> Metrics:
        from autoperf.telemetry.metrics.metrics import Metrics

        described = lambda: self._described  # noqa: E731
        self.metrics = Metrics(
            targets, self._resource, described, self._report_metrics, base=base, variables=self._variables
        )
        return self.metrics

    def _report_metrics(self, target: Target, line: str) -> None:
        # Where spans go too, their exporter says what is wrong with the collector.
        if _origin(target) not in {_origin(sender.target) for sender, _ in self._senders}:
            self._report(line)

    def start(self) -> None:
        """Start all threads."""
        for pipeline in (self._to_store, *(pipeline for _, pipeline in self._senders)):
            pipeline.start()
        if self.metrics is not None:
            self.metrics.start()

    def put(self, span: Finished) -> None:
        """Take a finished span."""
        self._to_store.put(span)
        if self._senders and self.root_sums is not None:
            self.root_sums.add(span)
        for _, pipeline in self._senders:
            pipeline.put(span)

    def keep(self, span: Finished) -> None:
        """Take a finished span that the host's provider exports: into the store alone."""
        self._to_store.put(span)

    def _send(self, sender: Sender, spans: list[Finished]) -> bool:
        return sender.deliver_spans(spans if self.root_sums is None else self.root_sums.tell(spans))

    # -- on the store's thread

    def _deliver(self, spans: list[Finished]) -> bool:
        from autoperf.telemetry.provider import row_of

        # With what they stand in, which may never end: no span is without its ancestors.
        self.store.add_spans([*self._begun(), *map(row_of, spans)])
        return True  # What the store could not keep, it has counted.

    def _begun(self) -> list[SpanRow]:
        from autoperf.telemetry.provider import row_of_open

        rows = []
        for span in self.open_spans():
            with guarded("telemetry:store"):
                rows.append(row_of_open(span))
        return rows

    def tick(self) -> None:
        """What is done every second, at rest every few."""
        self.on_tick()
        self._save_record()
        with guarded("telemetry:store"):
            begun = self._begun()
            if begun:
                self.store.note_open(begun)
            else:
                self.store.rest()

    def _at_rest(self) -> bool:
        return self.rests() and not any(self.open_spans())

    def _save_record(self, *, ended: bool = False) -> None:
        snapshot, counts, there = self._snapshot(), self.counts(), self._saved_in == self.store.identity
        if there and snapshot is self._seen[0] and counts == self._seen[1] and not ended:
            return
        self._described = dict(snapshot)
        described = self._described | {"telemetry": counts}
        text = json.dumps(described, default=str)
        if there and text == self._saved and not ended:
            self._seen = snapshot, counts
            return
        now = time.time()
        identity = {
            "pid": os.getpid(),
            "parent_pid": os.getppid(),
            "instance": self.instance,
            "resource": self.resource,
            "started": self._started,
            "updated": now,
            "ended": now if ended else None,
        }
        if self.store.save_process(described | identity):
            self._saved, self._saved_in = text, self.store.identity
            self._seen = snapshot, counts

    def counts(self) -> dict[str, Any]:
        """Spans taken, spans that reached neither store nor disk, and each exporter's own numbers."""
        queue, store = self._to_store, self.store
        exporters = [
            {
                "kind": sender.target.kind,
                "endpoint": sender.target.endpoint,
                "sent": pipeline.delivered,
                "waiting": 0 if self._over else pipeline.waiting,
                "dropped": pipeline.dropped + (pipeline.waiting if self._over else 0),
                "problem": sender.problem,
            }
            for sender, pipeline in self._senders
        ]
        return {
            "spans": queue.delivered + queue.waiting + queue.dropped,
            "dropped": queue.dropped + store.dropped,
            "store": {"path": str(store.path), "problem": store.problem},
            "host_provider": self.in_host_provider,
            "exporters": exporters,
            **({} if self.metrics is None else {"metrics": self.metrics.counts()}),
        }

    # -- the end

    def flush(self, timeout: float) -> bool:
        """Send on what has ended so far; False when ``timeout`` s were too few."""
        deadline = time.monotonic() + timeout
        done = self._to_store.ask(timeout, self._save_record)
        waits = [pipeline.order() for _, pipeline in self._senders]
        waits += [] if self.metrics is None else [self.metrics.flush()]
        return all([done, *(_wait(event, deadline) for event in waits)])

    def finish(self, timeout: float, end_open: Callable[[], None] | None) -> None:
        """End open spans with ``end_open``, empty every queue, mark the record as ended."""
        over = time.monotonic() + timeout
        deadline = over - timeout * _FOR_THE_RECORD
        # What one of these fails of costs no other, and the store, asked last, tells of it.
        with guarded(_EXIT):
            self._to_store.ask(deadline - time.monotonic(), end_open)
        with guarded(_EXIT):
            self._to_store.ask(deadline - time.monotonic(), lambda: self._save_record(ended=True))
        with guarded(_EXIT):
            self._finish_exporters(deadline)
        # Again, now that the exporters' numbers are final; soon done, or not worth waiting for.
        done = True
        with guarded(_EXIT):
            done = self._to_store.ask(max(0.1, over - time.monotonic()), self._close_store, stop=True)
        if done and not self._closed:
            with guarded(_EXIT):
                self._close_store()

    def _finish_exporters(self, deadline: float) -> None:
        waits = [pipeline.order(stop=True) for _, pipeline in self._senders]
        waits += [] if self.metrics is None else [self.metrics.finish()]
        for event in waits:
            _wait(event, deadline)
        self._over = True
        for sender, pipeline in self._senders:
            if pipeline.waiting:
                sender.give_up()
            sender.close()
        if self.metrics is not None:
            self.metrics.close()

    def _close_store(self) -> None:
        self._save_record(ended=True)
        self.store.close()
        self._closed = True


def _nothing() -> None:
    return


def _wait(event: threading.Event, deadline: float) -> bool:
    return event.wait(max(0.0, deadline - time.monotonic()))


def _origin(target: Target) -> str:
    try:
        return urlsplit(target.endpoint).netloc or target.endpoint.partition("/")[0]
    except ValueError:  # no address at all
        return target.endpoint


def _pipeline(
    sender: Sender, send: Callable[[Sender, list[Finished]], bool], variables: Variables
) -> Pipeline[Finished]:
    # OpenTelemetry specification, batch span processor; its export timeout is the exporter's own here.
    return Pipeline(
        sender.target.kind,
        partial(send, sender),
        capacity=variables.positive("OTEL_BSP_MAX_QUEUE_SIZE", CAPACITY),
        batch=variables.positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        interval=variables.positive("OTEL_BSP_SCHEDULE_DELAY", 1000) / 1000,
        may_block=True,
        ready=sender.ready,
    )
