"""Our side of the OpenTelemetry metrics SDK: private provider, reader, instruments made from their table.

Imports the SDK, so it is itself imported only once there is somewhere for metrics to go.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import (
    Aggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource

from autoperf.telemetry.metrics import instruments
from autoperf.telemetry.recording import SCOPE
from autoperf.telemetry.variables import Variables

Record = Callable[[float, dict[str, Any], Context | None], None]
_DELTA: Final = AggregationTemporality.DELTA
_EXEMPLARS: Final = {
    "trace_based": "TraceBasedExemplarFilter",
    "always_on": "AlwaysOnExemplarFilter",
    "always_off": "AlwaysOffExemplarFilter",
}


class _Provider(sdk.MeterProvider):
    """The SDK's, without its work in a forked child; see `provider`."""

    def _handle_fork(self) -> None:
        return


class Reader(MetricReader):
    """Hands over what has been measured whenever it is asked for it."""

    def __init__(self, temporality: dict[type, AggregationTemporality], exponential: bool) -> None:
        chosen: dict[type, Aggregation] = {}
        if exponential:
            chosen[sdk.Histogram] = ExponentialBucketHistogramAggregation()
        super().__init__(preferred_temporality=temporality, preferred_aggregation=chosen)
        self._data: MetricsData | None = None

    def take(self) -> MetricsData | None:
        """Everything to be sent now."""
        self.collect()
        data, self._data = self._data, None
        return data

    def _receive_metrics(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002 - the SDK's name
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        self._data = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Do nothing: there is nothing to let go of."""


def make_provider(resource: Resource, variables: Variables) -> tuple[sdk.MeterProvider, Reader]:
    """A private provider, never made global, and the reader that empties it.

    ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`` and ``..._DEFAULT_HISTOGRAM_AGGREGATION`` are read
    here because the exporters, which read them too, are imported only when there is something to send.
    """
    histogram, exponential = "explicit_bucket_histogram", "base2_exponential_bucket_histogram"
    wanted = variables.choice(_names("DEFAULT_HISTOGRAM_AGGREGATION"), (histogram, exponential), histogram)
    preferences = ("cumulative", "delta", "lowmemory")
    preference = variables.choice(_names("TEMPORALITY_PREFERENCE"), preferences, preferences[0])
    reader = Reader(_temporality(preference), wanted == exponential)
    views = [
        View(instrument_name=row.name, aggregation=ExplicitBucketHistogramAggregation(row.boundaries))
        for row in instruments.HISTOGRAMS
    ]
    provider = _Provider(
        metric_readers=[reader],
        resource=resource,
        shutdown_on_exit=False,
        views=() if wanted == exponential else views,
        **_exemplars(variables, drawn=wanted == exponential),
    )
    return provider, reader


def _names(setting: str) -> list[str]:
    return [f"OTEL_EXPORTER_OTLP_METRICS_{setting}", f"OTEL_EXPORTER_OTLP_{setting}"]


def _exemplars(variables: Variables, *, drawn: bool) -> dict[str, Any]:
    """The filter of ``OTEL_METRICS_EXEMPLAR_FILTER``; none pass where the SDK draws them from `random`."""
    if "exemplar_filter" not in inspect.signature(sdk.MeterProvider).parameters:
        return {}
    chosen = variables.choice(["OTEL_METRICS_EXEMPLAR_FILTER"], _EXEMPLARS, "trace_based")
    return {"exemplar_filter": getattr(sdk, _EXEMPLARS["always_off" if drawn else chosen])()}


def _temporality(preference: str) -> dict[type, AggregationTemporality]:
    # OTLP exporter specification: what is up and down stays cumulative in every case.
    if preference == "delta":
        return {sdk.Counter: _DELTA, sdk.Histogram: _DELTA, sdk.ObservableCounter: _DELTA}
    if preference == "lowmemory":
        return {sdk.Counter: _DELTA, sdk.Histogram: _DELTA}
    return {}


def host_provider() -> sdk.MeterProvider | None:
    """The SDK provider that the host has made global, or None; see `provider.host_provider`."""
    api = sys.modules.get("opentelemetry.metrics._internal")
    provider = getattr(api, "_METER_PROVIDER", None)
    return provider if isinstance(provider, sdk.MeterProvider) else None


def make_instruments(
    provider: sdk.MeterProvider, observe: Callable[[instruments.Observed], Iterable[instruments.Reading]]
) -> dict[str, Record]:
    """Every instrument of the table: ways to record by name; for the others ``observe(row)`` is asked."""
    meter = provider.get_meter(SCOPE)
    for row in instruments.OBSERVED:
        make = getattr(meter, f"create_observable_{row.kind}")
        make(row.name, callbacks=[_callback(row, observe)], unit=row.unit, description=row.meaning)
    return {row.name: _histogram(meter, row) for row in instruments.HISTOGRAMS}


def _callback(
    row: instruments.Observed, observe: Callable[[instruments.Observed], Iterable[instruments.Reading]]
) -> Callable[[CallbackOptions], list[Observation]]:
    def read(_options: CallbackOptions) -> list[Observation]:
        return [Observation(value, attributes) for value, attributes in observe(row)]

    return read


def _histogram(meter: Meter, row: instruments.Histogram) -> Record:
    make: Callable[..., Any] = meter.create_histogram
    try:
        made = make(
            row.name,
            unit=row.unit,
            description=row.meaning,
            explicit_bucket_boundaries_advisory=row.boundaries,
        )
    except TypeError:  # before 1.30; only a view can set them there
        made = make(row.name, unit=row.unit, description=row.meaning)
    record: Callable[..., None] = made.record
    if "context" in inspect.signature(record).parameters:
        # Never None: then the SDK takes OpenTelemetry's current span, which may be a plugin's.
        return lambda value, attributes, example: record(value, attributes, example or Context())
    return lambda value, attributes, _: record(value, attributes)
