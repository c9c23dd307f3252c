"""The SDK's exporters, made on the thread that sends: unheard in the host's logs, unseen in `random`."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, Final

TRACES: Final = "traces"
METRICS: Final = "metrics"
_NOISY: Final = ("opentelemetry", "urllib3", "requests", "grpc")
_EXPORTERS: Final = {
    (TRACES, "console"): "opentelemetry.sdk.trace.export:ConsoleSpanExporter",
    (TRACES, "otlp-http"): "opentelemetry.exporter.otlp.proto.http.trace_exporter:OTLPSpanExporter",
    (TRACES, "otlp-grpc"): "opentelemetry.exporter.otlp.proto.grpc.trace_exporter:OTLPSpanExporter",
    (METRICS, "console"): "opentelemetry.sdk.metrics.export:ConsoleMetricExporter",
    (METRICS, "otlp-http"): "opentelemetry.exporter.otlp.proto.http.metric_exporter:OTLPMetricExporter",
    (METRICS, "otlp-grpc"): "opentelemetry.exporter.otlp.proto.grpc.metric_exporter:OTLPMetricExporter",
}
_NO_COMPRESSION: Final = {
    "otlp-http": "opentelemetry.exporter.otlp.proto.http:Compression",
    "otlp-grpc": "grpc:Compression",
}
_making = threading.Lock()


def _forked() -> None:
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def make(kind: str, signal: str, told: Mapping[str, Any], hush: Hush) -> Any:
    """An exporter of ``kind``; ``told`` are its arguments, see `Variables.exporter`."""
    from opentelemetry import context as context_api

    # So that instrumented HTTP clients make no spans of our sending spans; this thread does nothing else.
    key = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    context_api.attach(context_api.set_value(key, True))
    # One thread at a time: the two exporters of a protocol share most of their modules.
    with _making, _quiet_grpc() if kind == "otlp-grpc" else contextlib.nullcontext():
        made = _named(_EXPORTERS[signal, kind])
        # Already now: what it thinks of the variables, it would say with the headers and their keys.
        hush.install(threading.get_ident())
        arguments = dict(told)
        if "compression" in arguments:
            arguments["compression"] = _named(_NO_COMPRESSION[kind]).NoCompression
        exporter = made(**arguments, **without_metrics(made))
    draw_from(random.Random(), exporter, getattr(exporter, "_client", None))
    return exporter


def without_metrics(make: Callable[..., Any]) -> dict[str, Any]:
    """The argument that keeps ``make``, of the SDK, from asking for the global meter provider."""
    if "meter_provider" not in inspect.signature(make).parameters:
        return {}
    from opentelemetry.metrics import NoOpMeterProvider

    return {"meter_provider": NoOpMeterProvider()}


def draw_from(stream: random.Random, *objects: Any) -> None:
    """Have the methods of ``objects`` that draw their backoff from the global `random` draw from ``stream``.

    The host's tools may have seeded the global one. The methods are replaced on the objects, whose classes
    the host may use as well.
    """
    for each in objects:
        own: set[str] = set()
        for owner in type(each).__mro__:
            for name, function in vars(owner).items():
                if name not in own and isinstance(function, FunctionType) and _draws(function):
                    copy = FunctionType(
                        function.__code__,
                        {**function.__globals__, "random": stream},
                        function.__name__,
                        function.__defaults__,
                        function.__closure__,
                    )
                    copy.__kwdefaults__ = function.__kwdefaults__
                    setattr(each, name, MethodType(copy, each))
                own.add(name)


def _draws(function: FunctionType) -> bool:
    return "random" in function.__code__.co_names and function.__globals__.get("random") is random


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def import_what_grpc_cannot_at_exit() -> None:
    """Load what cannot be imported at shutdown (it needs thread pools); a short process exports only then."""
    import concurrent.futures.thread  # noqa: F401

    with contextlib.suppress(ImportError):
        import opentelemetry.sdk._logs  # noqa: F401 - the gRPC exporter imports it in every version


@contextlib.contextmanager
def _quiet_grpc() -> Iterator[None]:
    """Have gRPC's C library, which reads this once as it starts, keep off the host's stderr.

    A certificate that it cannot read is four lines of errors at every attempt; why it fails, we say once.
    """
    ours = "GRPC_VERBOSITY" not in os.environ
    if ours:
        os.putenv("GRPC_VERBOSITY", "NONE")  # for C alone: `os.environ` is the host's
    try:
        yield
    finally:
        if ours:
            os.unsetenv("GRPC_VERBOSITY")


class Hush(logging.Filter):
    """Keeps what the exporters log on one thread out of the host's logs, and remembers the last of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self._thread = 0
        self._loggers: list[logging.Logger] = []

    def install(self, thread: int) -> None:
        """Filter what ``thread`` logs from now on."""
        # A logger's filters do not see its children's records, hence each one by itself.
        self._thread = thread
        every: dict[str, Any] = dict(logging.root.manager.loggerDict)
        self._loggers = [
            logger
            for name, logger in every.items()
            if isinstance(logger, logging.Logger) and name.split(".")[0] in _NOISY
        ]
        for logger in self._loggers:
            # Before the SDK's own, which swallow what looks like a repetition: it may be another exporter's.
            logger.filters.insert(0, self)

    def remove(self) -> None:
        """Filter nothing any more."""
        for logger in self._loggers:
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is another thread's."""
        if record.thread != self._thread:
            return True
        if record.levelno >= logging.WARNING:
            message = record.getMessage()
            # That it gave up is no reason; why, it has said before.
            self.last = self.last if self.last and "max retries" in message.lower() else message
        return False
