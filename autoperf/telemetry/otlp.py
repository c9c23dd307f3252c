"""Where spans go besides the local store: the standard variables, and the SDK's exporters kept quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_NOISY: Final = ("opentelemetry", "urllib3", "requests", "grpc")
_GRPC_ENDPOINT: Final = "http://localhost:4317"
_HTTP_ENDPOINT: Final = "http://localhost:4318"


@dataclass(frozen=True)
class Target:
    """One exporter: ``kind`` is ``otlp-http``, ``otlp-grpc`` or ``console``; ``endpoint`` is for people."""

    kind: str
    endpoint: str


def targets(environ: Mapping[str, str] = os.environ) -> tuple[list[Target], list[str]]:
    """The exporters that the ``OTEL_*`` variables ask for, and one line for each value passed over.

    Without ``OTEL_TRACES_EXPORTER`` an OTLP endpoint has to be named: no port is tried by default.
    Source: OpenTelemetry specification, SDK environment variables and OTLP exporter.
    """
    endpoint, protocol = _setting(environ, "ENDPOINT"), _setting(environ, "PROTOCOL")
    wanted = [
        name.strip().lower() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()
    ]
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or "none" in wanted:
        return [], []
    found: list[Target] = []
    problems: list[str] = []
    for name in wanted or (["otlp"] if endpoint else []):
        if name == "console":
            found.append(Target("console", "stdout"))
        elif name != "otlp":
            problems.append(f"OTEL_TRACES_EXPORTER={name} is not supported: use otlp, console or none")
        elif protocol == "grpc":
            found.append(Target("otlp-grpc", endpoint or _GRPC_ENDPOINT))
        else:
            if protocol not in ("", "http/protobuf"):
                problems.append(f"OTLP protocol {protocol} is not supported: http/protobuf is used")
            found.append(Target("otlp-http", _http_endpoint(environ)))
    return found, problems


def _setting(environ: Mapping[str, str], name: str) -> str:
    specific = environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return specific or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _http_endpoint(environ: Mapping[str, str]) -> str:
    # The specific variable is used as it is, the general one is a base.
    specific = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or _HTTP_ENDPOINT
    return specific or base.rstrip("/") + "/v1/traces"


class Sender:
    """Delivers batches to one target with the SDK's exporter, which is imported at the first batch.

    All of it happens on the thread that calls `deliver`. ``problem`` is the last failure, None after a
    success; only the first one is reported.
    """

    def __init__(self, target: Target, report: Callable[[str], None]) -> None:
        self.target = target
        self.problem: str | None = None
        self._report = report
        self._said = False
        self._exporter: SpanExporter | None = None
        self._hush = _Hush()
        if target.kind == "otlp-grpc":
            _import_what_grpc_cannot_at_exit()

    def deliver(self, spans: list[ReadableSpan]) -> bool:
        """Export ``spans``; False when they did not arrive."""
        sampled = [span for span in spans if span.context and span.context.trace_flags.sampled]
        self._hush.last = ""
        try:
            if self._exporter is None:
                self._exporter = _exporter(self.target)
                self._hush.install(threading.get_ident())
            # By name: the exporter's own module may have been loaded with another copy of the enumeration.
            arrived = not sampled or self._exporter.export(sampled).name == "SUCCESS"
            reason = self._hush.last or "not accepted"
        except Exception as error:  # The network, the TLS setup, a missing package: the target's, not ours.
            arrived, reason = False, f"{type(error).__name__}: {error}"
        self.problem = None if arrived else " ".join(reason.split())[:200]
        if self.problem and not self._said:
            self._said = True
            self._report(
                f"no traces reach {self.target.endpoint} ({self.problem}); retrying, the local store has them"
            )
        return arrived

    def close(self) -> None:
        """Let go of the SDK's loggers; a request under way is left to the daemon thread it runs on."""
        self._hush.remove()


def _import_what_grpc_cannot_at_exit() -> None:
    """Load what cannot be imported at shutdown (it needs thread pools); a short process exports only then."""
    import concurrent.futures.thread  # noqa: F401

    with contextlib.suppress(ImportError):
        import opentelemetry.sdk._logs  # noqa: F401 - the gRPC exporter imports it in every version


def _exporter(target: Target) -> SpanExporter:
    from opentelemetry import context as context_api

    # So that instrumented HTTP clients make no spans of our sending spans; this thread does nothing else.
    key = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    context_api.attach(context_api.set_value(key, True))
    if target.kind == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    if target.kind == "otlp-grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter()


class _Hush(logging.Filter):
    """Keeps what the exporters log on one thread out of the host's logs, and remembers the last of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""
        self._thread = 0
        self._loggers: list[logging.Logger] = []

    def install(self, thread: int) -> None:
        # A logger's filters do not see its children's records, hence each one by itself.
        self._thread = thread
        every: dict[str, Any] = dict(logging.root.manager.loggerDict)
        self._loggers = [
            logger
            for name, logger in every.items()
            if isinstance(logger, logging.Logger) and name.split(".")[0] in _NOISY
        ]
        for logger in self._loggers:
            logger.addFilter(self)

    def remove(self) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        if record.levelno >= logging.WARNING:
            self.last = record.getMessage()
        return False
