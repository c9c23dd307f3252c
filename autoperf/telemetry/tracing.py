"""Telemetry of one process: its tracer, its pipelines to the store and the exporters, its record."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoperf.config import Config
from autoperf.errors import guarded, say
from autoperf.telemetry import names
from autoperf.telemetry.exits import Exits, finish_with_multiprocessing, tell_of_forks

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer

    from autoperf.store import Store
    from autoperf.telemetry.otlp import Sender
    from autoperf.telemetry.pipeline import Pipeline
    from autoperf.telemetry.provider import Processor
    from autoperf.telemetry.spans import ActiveSpan

EXIT_SECONDS: Final = 2.0


def _never(_error: BaseException) -> bool:
    return False


class NoSpan:
    """Stands where a span would be when nothing is recorded."""

    __slots__ = ()

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set(self, key: str, value: Any) -> None:
        """Do nothing."""


_NO_SPAN: Final = NoSpan()


class Telemetry:
    """Makes spans for the host's threads and carries them away on threads of its own.

    Made with `start`; `shutdown` happens by itself at the end of the process. In a forked child everything
    begins anew with the first span: an empty queue, new threads, a record of its own.
    """

    def __init__(
        self,
        config: Config,
        resource: Mapping[str, str],
        snapshot: Callable[[], Mapping[str, Any]],
        store_dir: Path,
        *,
        spans: bool = True,
        control_flow: Callable[[BaseException], bool] = _never,
    ) -> None:
        self._config = config
        self._with_spans = spans
        self._control_flow = control_flow
        self._resource = dict(resource)
        self._snapshot = snapshot
        self._store_dir = store_dir
        self._report: Callable[[str], None] = (lambda _: None) if config.quiet else say
        self._tracer: Tracer | None = None
        self._processor: Processor | None = None
        self._in_host_provider = False
        self._begun = False
        self._ended = False
        self._beginning = threading.RLock()
        self._exits: Exits | None = None

    @classmethod
    def start(
        cls,
        config: Config,
        *,
        resource: Mapping[str, str],
        snapshot: Callable[[], Mapping[str, Any]],
        store_dir: Path,
        spans: bool = True,
        control_flow: Callable[[BaseException], bool] = _never,
    ) -> Telemetry:
        """Start recording: ``resource`` describes the service, ``snapshot()`` the process, every second.

        Without ``spans`` only the record is kept, and OpenTelemetry is not imported. ``control_flow`` tells
        exceptions with which the host steers itself from failures. ``snapshot`` is called on our thread and
        returns what JSON can hold. Raises ``ImportError`` when OpenTelemetry's SDK is missing.
        """
        telemetry = cls(config, resource, snapshot, store_dir, spans=spans, control_flow=control_flow)
        telemetry._begin()
        telemetry._exits = Exits(telemetry.shutdown)
        tell_of_forks(telemetry)
        return telemetry

    def _begin(self) -> None:
        from autoperf.store import Store
        from autoperf.telemetry.pipeline import Pipeline

        self._started = time.time()
        self._saved = ""
        self._instance = str(uuid.uuid4())
        self._store: Store = Store.open(
            self._store_dir, max_bytes=self._config.store_max_mb << 20, report=self._report
        )
        self._to_store: Pipeline[ReadableSpan] = Pipeline("store", self._deliver_to_store, tick=self._tick)
        self._senders: list[tuple[Sender, Pipeline[ReadableSpan]]] = []
        if self._with_spans:
            self._begin_spans()
        for pipeline in (self._to_store, *(pipeline for _, pipeline in self._senders)):
            pipeline.start()
        self._begun = True

    def _begin_spans(self) -> None:
        # Only now, so that a Python that traces nothing does not pay for importing the SDK.
        from autoperf.telemetry import otlp, provider, spans
        from autoperf.telemetry.pipeline import Pipeline

        self._provider_module, self._spans = provider, spans
        targets, problems = otlp.targets()
        for sender in (otlp.Sender(target, self._report) for target in targets):
            self._senders.append((sender, Pipeline(sender.target.kind, sender.deliver, may_block=True)))
        for problem in problems:
            self._report(problem)
        self._processor = provider.Processor(self._take)
        resource = {names.SERVICE_INSTANCE_ID: self._instance, **self._resource}
        ours = provider.make_provider(resource)
        ours.add_span_processor(self._processor)
        self._tracer = ours.get_tracer(provider.SCOPE)
        self._in_host_provider = False
        self._use_host_provider()

    # -- making spans

    def span(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        kind: str = names.INTERNAL,
        *,
        new_trace: bool = False,
        from_ns: int = 0,
    ) -> ActiveSpan | NoSpan:
        """A span for a ``with`` block, below the current one, or with ``new_trace`` in a trace of its own.

        ``kind`` is one of the span kinds in `names`. A trace of its own is linked to the current span. With
        ``from_ns`` there is a span only if it took as many ns, failed, was told something, or held another.
        """
        tracer = self._tracer or self._begin_in_child()
        if tracer is None:
            return _NO_SPAN
        make = self._spans.Make(tracer, name, attributes, kind)
        span: ActiveSpan = self._spans.ActiveSpan(make, new_trace, self._control_flow, from_ns)
        return span

    def record(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, Any] | None = None,
        kind: str = names.INTERNAL,
    ) -> None:
        """A span after the fact, below the current one; times in ns since the epoch."""
        tracer = self._tracer or self._begin_in_child()
        if tracer is not None:
            with guarded("telemetry:record"):
                make = self._spans.Make(tracer, name, attributes, kind)
                self._spans.start_span(make, start_ns=start_ns).end(end_ns)

    def measure(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        """One value for the histogram ``name``."""

    def current_trace_id(self) -> str | None:
        """The trace going on here, as 32 hex digits."""
        return self._spans.current_trace_id() if self._begun and self._processor is not None else None

    def _take(self, span: ReadableSpan) -> None:
        self._to_store.put(span)
        if not self._in_host_provider:
            for _, pipeline in self._senders:
                pipeline.put(span)

    # -- on our thread

    def _deliver_to_store(self, spans: list[ReadableSpan]) -> bool:
        self._store.add_spans(map(self._provider_module.row_of, spans))
        return True  # What the store could not keep, it has counted.

    def _tick(self) -> None:
        self._use_host_provider()
        self._save_record()

    def _use_host_provider(self) -> None:
        """Where the host has set an SDK provider, our spans go through it, and it does the exporting."""
        if self._processor is None or self._in_host_provider or self._ended:
            return
        host = self._provider_module.host_provider()
        if host is not None:
            host.add_span_processor(self._processor)
            self._in_host_provider = True
            self._tracer = host.get_tracer(self._provider_module.SCOPE)

    def _save_record(self, *, ended: bool = False) -> None:
        described = dict(self._snapshot()) | {"telemetry": self.counts()}
        text = json.dumps(described, default=str)
        if text == self._saved and not ended:
            return
        now = time.time()
        identity = {
            "pid": os.getpid(),
            "parent_pid": os.getppid(),
            "instance": self._instance,
            "started": self._started,
            "updated": now,
            "ended": now if ended else None,
        }
        if self._store.save_process(described | identity):
            self._saved = text

    def counts(self) -> dict[str, Any]:
        """Spans taken, spans that reached neither store nor disk, and each exporter's own numbers."""
        if not self._begun:
            return {"spans": 0, "dropped": 0, "exporters": []}
        queue, store = self._to_store, self._store
        exporters = [
            {
                "kind": sender.target.kind,
                "endpoint": sender.target.endpoint,
                "sent": pipeline.delivered,
                "waiting": pipeline.waiting,
                "dropped": pipeline.dropped,
                "problem": sender.problem,
            }
            for sender, pipeline in self._senders
        ]
        return {
            "spans": queue.delivered + queue.waiting + queue.dropped,
            "dropped": queue.dropped + store.dropped,
            "store": {"path": str(store.path), "problem": store.problem},
            "host_provider": self._in_host_provider,
            "exporters": exporters,
        }

    # -- the end

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Send on what has ended so far, as before an ``execv``; False when ``timeout`` s were too few."""
        if not self._begun:
            return True
        deadline = time.monotonic() + timeout
        done = self._to_store.ask(timeout, self._save_record)
        return all([done, *(pipeline.ask(deadline - time.monotonic()) for _, pipeline in self._senders)])

    def shutdown(self, timeout: float = EXIT_SECONDS) -> None:
        """End open spans as cut off, empty the queues, mark the record as ended, in ``timeout`` seconds."""
        if self._ended:
            return
        self._ended = True
        self._tracer = None
        if self._exits is not None:
            self._exits.undo()
        if not self._begun:
            return
        deadline = time.monotonic() + timeout
        self._to_store.ask(timeout, None if self._processor is None else self._processor.end_open)
        self._to_store.ask(deadline - time.monotonic(), lambda: self._save_record(ended=True))
        for done in [pipeline.order(stop=True) for _, pipeline in self._senders]:
            done.wait(max(0.0, deadline - time.monotonic()))
        for sender, _ in self._senders:
            sender.close()
        # Again, now that the exporters' numbers are final; soon done, or not worth waiting for.
        self._to_store.ask(max(0.1, deadline - time.monotonic()), self._close_store, stop=True)
        self._silence()

    def _close_store(self) -> None:
        self._save_record(ended=True)
        self._store.close()

    # -- forks

    def forked(self) -> None:
        """Leave to the parent what is the parent's."""
        self._beginning = threading.RLock()
        self._tracer = None
        if self._begun:
            self._silence()
            self._begun = False

    def _silence(self) -> None:
        if self._processor is not None:
            self._processor.live = False

    def _begin_in_child(self) -> Tracer | None:
        with self._beginning:
            if not self._begun and not self._ended:
                with guarded("telemetry:fork"):
                    self._begin()
                    finish_with_multiprocessing(self.shutdown)
        return self._tracer
