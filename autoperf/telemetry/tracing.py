"""Telemetry of one process: its spans and measurements, from the first to the last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import begin_anew, guarded, say
from autoperf.features import way_out
from autoperf.telemetry import names
from autoperf.telemetry.exits import Exits, finish_with_multiprocessing, tell_of_forks
from autoperf.telemetry.no_span import NO_SPAN, NoSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

    from autoperf.process.config import Config
    from autoperf.telemetry.export.outlets import Outlets
    from autoperf.telemetry.export.root_sums import Sums
    from autoperf.telemetry.metrics.metrics import Metrics
    from autoperf.telemetry.provider import Processor
    from autoperf.telemetry.recording import RecordingSpan
    from autoperf.telemetry.spans import ActiveSpan, Pending, Source
    from autoperf.telemetry.store.store import Store
    from autoperf.telemetry.variables import Variables

EXIT_SECONDS: Final = 2.0


def _never(_error: BaseException) -> bool:
    return False


def _tell(trouble: str) -> None:
    say(f"{trouble}; to leave it out: {way_out('trace')}")


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
        rests: Callable[[], bool] = bool,
        sums: Sums | None = None,
    ) -> None:
        self._config, self._with_spans = config, spans
        self._rests, self._sums = rests, sums
        self._control_flow = control_flow
        self._resource = dict(resource)
        self._snapshot = snapshot
        self._store_dir = store_dir
        self._report: Callable[[str], None] = (lambda _: None) if config.quiet else _tell
        self._source: Source | None = None
        self._processors: list[Processor] = []
        self._outlets: Outlets | None = None
        self._metrics: Metrics | None = None
        self._ended = False
        self._again = False
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
        rests: Callable[[], bool] = bool,
        sums: Sums | None = None,
    ) -> Telemetry:
        """Start recording: ``resource`` describes the service, ``snapshot()`` the process, every second.

        Without ``spans`` only the record is kept, and OpenTelemetry is not imported. ``control_flow`` tells
        exceptions with which the host steers itself from failures. ``snapshot`` is called on our thread and
        returns what JSON can hold; every few seconds only while ``rests()`` is true and no span is open.
        ``sums``: see `RootSums`. Raises ``ImportError`` when OpenTelemetry's SDK is missing.
        """
        more: dict[str, Any] = {"control_flow": control_flow, "rests": rests, "sums": sums}
        telemetry = cls(config, resource, snapshot, store_dir, spans=spans, **more)
        telemetry._begin()
        telemetry._exits = Exits(telemetry.shutdown)
        tell_of_forks(telemetry)
        return telemetry

    def _begin(self) -> None:
        from autoperf.telemetry.export.outlets import Outlets

        outlets = Outlets(self._store_dir, self._config.store_max_mb << 20, self._report, self._snapshot)
        outlets.rests = self._rests
        if self._with_spans:
            self._begin_spans(outlets)
        self._outlets = outlets
        self._use_host_provider()
        outlets.start()

    def _begin_spans(self, outlets: Outlets) -> None:
        # Only now, so that a Python that traces nothing does not pay for importing the SDK.
        from autoperf.telemetry import sdk
        from autoperf.telemetry.variables import Variables

        variables = Variables()
        with sdk.Unheard():
            sdk.load()
            self._make_spans(outlets, variables)
        variables.unused()
        for problem in variables.problems if not self._again else ():
            self._report(problem)

    def _make_spans(self, outlets: Outlets, variables: Variables) -> None:
        from autoperf.telemetry import context, provider, spans
        from autoperf.telemetry.export.root_sums import RootSums

        self._context, self._provider_module, self._spans = context, provider, spans
        outlets.add_exporters(variables)
        outlets.root_sums = RootSums(self._sums) if self._sums else None
        outlets.on_tick = self._use_host_provider
        outlets.open_spans = self._open_spans
        self._processors = [provider.Processor(outlets.put, outlets.wake)]
        given = {names.SERVICE_INSTANCE_ID: outlets.instance, **self._resource}
        resource = provider.make_resource(given, variables)
        ours = provider.make_provider(resource, variables)
        outlets.resource = dict(ours.resource.attributes)
        ours.add_span_processor(self._processors[0])
        self._source = provider.own_source(ours, self._processors[0])
        with guarded("telemetry:metrics"):
            outlets.add_metrics(resource, variables, again=self._again)
            self._metrics = outlets.metrics

    # -- making spans

    def span(
        self,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        kind: str = names.INTERNAL,
        *,
        new_trace: bool = False,
        from_ns: int = 0,
        start_ns: int | None = None,
    ) -> ActiveSpan | Pending | NoSpan:
        """A span for a ``with`` block, below the current one, or with ``new_trace`` in a trace of its own.

        ``kind`` is one of the span kinds in `names`. A trace of its own is linked to the current span. With
        ``from_ns`` there is a span only if it took as many ns, failed, was told something, or held another;
        such a one may have begun at ``start_ns`` already.
        """
        source = self._source or self._begin_in_child()
        if source is None:
            return NO_SPAN
        if self._metrics is not None:
            self._metrics.loops.note()
        make = self._spans.Make(source, name, attributes, kind)
        if from_ns:
            pending: Pending = self._spans.Pending(make, self._control_flow, from_ns, start_ns, new_trace)
            return pending
        span: ActiveSpan = self._spans.ActiveSpan(make, new_trace, self._control_flow)
        return span

    def pending(self, name: str, attributes: Mapping[str, Any], least_ns: int) -> Pending | NoSpan:
        """As `span` with ``from_ns``, but begun; its ``over`` is to be called."""
        source = self._source or self._begin_in_child()
        if source is None:
            return NO_SPAN
        spans = self._spans
        pending: Pending = spans.Pending(spans.Make(source, name, attributes), self._control_flow, least_ns)
        return pending.__enter__()

    def record(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, Any] | None = None,
        kind: str = names.INTERNAL,
    ) -> None:
        """A span after the fact, below the current one; times in ns since the epoch."""
        source = self._source or self._begin_in_child()
        if source is not None:
            with guarded("telemetry:record"):
                make = self._spans.Make(source, name, attributes, kind)
                self._spans.start_span(make, start_ns=start_ns).end(end_ns)

    def measure(self, name: str, value: float, attributes: Mapping[str, Any] | None = None) -> None:
        """Add one value to a histogram of `instruments`, with the current span as its example.

        Does nothing when metrics go nowhere.
        """
        if self._outlets is None:
            self._begin_in_child()
        metrics, source = self._metrics, self._source
        if metrics is not None and source is not None:
            with guarded("telemetry:measure"):
                example = self._context.example(shared=source.shared, in_host_meters=metrics.in_host_provider)
                metrics.measure(name, value, attributes, example)

    def current_trace_id(self) -> str | None:
        """The trace going on here, as 32 hex digits."""
        return None if self._source is None else self._context.current_trace_id(shared=self._source.shared)

    # -- on our thread

    def _use_host_provider(self) -> None:
        """Where the host has set an SDK provider, our spans go through it, and it does the exporting."""
        outlets = self._outlets
        if outlets is None or not self._processors or self._ended:
            return
        host = None if outlets.in_host_provider else self._provider_module.host_provider()
        if host is not None:
            # One of its own: what our provider began is ours to export, also when it ends later.
            self._processors.append(self._provider_module.Processor(outlets.keep, outlets.wake))
            host.add_span_processor(self._processors[-1])
            if self._exits is not None:  # before the host's own end, after which it would take nothing
                self._exits.come_first()
            self._source = self._provider_module.source(host, shared=True)
            outlets.in_host_provider = True  # when it is so: `counts` tells it
        with guarded("telemetry:metrics"):
            outlets.use_host_meters()
            self._metrics = outlets.wanted_metrics

    @property
    def store(self) -> Store | None:
        """The one store of this process; None in a forked child that has done nothing yet."""
        return None if self._outlets is None else self._outlets.store

    def counts(self) -> dict[str, Any]:
        """Spans taken, spans that reached neither store nor disk, and each exporter's own numbers."""
        if self._outlets is None:
            return {"spans": 0, "dropped": 0, "exporters": []}
        return self._outlets.counts()

    # -- the end

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Send on what has ended so far; False when ``timeout`` s were too few."""
        return self._outlets is None or self._outlets.flush(timeout)

    def shutdown(self, timeout: float = EXIT_SECONDS) -> None:
        """End open spans as cut off, empty the queues, mark the record as ended, in ``timeout`` seconds."""
        if self._ended:
            return
        self._ended = True
        self._source = self._metrics = None
        if self._exits is not None:
            with guarded("telemetry:exit"):
                self._exits.undo()
        if self._outlets is None:
            return
        for _ in range(2):  # once more where it fails: it writes what is told of the process, failures too
            with guarded("telemetry:exit"):
                self._outlets.finish(timeout, self._end_open if self._processors else None)
                break
        self._silence()

    def _open_spans(self) -> list[Span | RecordingSpan]:
        return [span for processor in self._processors for span in processor.open()]

    def _end_open(self) -> None:
        self._spans.make_pending()
        for processor in self._processors:
            processor.end_open()

    # -- forks

    def forked(self) -> None:
        """Leave to the parent what is the parent's."""
        self._beginning = threading.RLock()
        self._again = True
        self._source = self._metrics = None
        self._outlets = None
        if self._processors:
            begin_anew(self._silence, self._spans.forget_pending)

    def _silence(self) -> None:
        for processor in self._processors:
            processor.live = False

    def _begin_in_child(self) -> Source | None:
        with self._beginning:
            if self._outlets is None and not self._ended:
                with guarded("telemetry:fork"):
                    self._begin()
                    finish_with_multiprocessing(self.shutdown)
        return self._source
