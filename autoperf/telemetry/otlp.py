"""Where spans and metrics go besides the store: the standard variables, the SDK's exporters kept quiet."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TRACES: Final = "traces"
METRICS: Final = "metrics"
_NOISY: Final = ("opentelemetry", "urllib3", "requests", "grpc")
_GRPC_ENDPOINT: Final = "http://localhost:4317"
_HTTP_ENDPOINT: Final = "http://localhost:4318"
_LONGEST_START: Final = 60.0
# What the SDK's exporters log of HTTP's "no such path" or "not here", and of gRPC's "no such service".
_NOT_TAKEN: Final = re.compile(r"code: (404|405|501)\b|\bUNIMPLEMENTED\b")


@dataclass(frozen=True)
class Target:
    """One exporter: ``kind`` is ``otlp-http``, ``otlp-grpc`` or ``console``; ``endpoint`` is for people."""

    kind: str
    endpoint: str


def targets(environ: Mapping[str, str] = os.environ, signal: str = TRACES) -> tuple[list[Target], list[str]]:
    """The exporters that the ``OTEL_*`` variables ask for, and one line for each value passed over.

    ``signal`` is ``traces`` or ``metrics``. Without ``OTEL_TRACES_EXPORTER`` or ``OTEL_METRICS_EXPORTER`` an
    OTLP endpoint has to be named: no port is tried by default.
    Source: OpenTelemetry specification, SDK environment variables and OTLP exporter.
    """
    endpoint, protocol = _public(setting(environ, signal, "ENDPOINT")), setting(environ, signal, "PROTOCOL")
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    wanted = [name.strip().lower() for name in environ.get(variable, "").split(",") if name.strip()]
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or "none" in wanted:
        return [], []
    found: list[Target] = []
    problems: list[str] = []
    for name in wanted or (["otlp"] if endpoint else []):
        if name == "console":
            found.append(Target("console", "stdout"))
        elif name != "otlp":
            problems.append(f"{variable}={name} is not supported: use otlp, console or none")
        elif protocol == "grpc":
            found.append(Target("otlp-grpc", endpoint or _GRPC_ENDPOINT))
        else:
            if protocol not in ("", "http/protobuf"):
                problems.append(f"OTLP protocol {protocol} is not supported: http/protobuf is used")
            found.append(Target("otlp-http", _public(_http_endpoint(environ, signal))))
    return found, problems


def setting(environ: Mapping[str, str], signal: str, name: str) -> str:
    """The value of one OTLP exporter variable: the one for ``signal`` wins over the general one."""
    specific = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
    return specific or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _public(endpoint: str) -> str:
    # What is shown and stored holds no password; the exporter reads the variable itself.
    return re.sub(r"//[^/@]*@", "//", endpoint)


def _http_endpoint(environ: Mapping[str, str], signal: str) -> str:
    # The specific variable is used as it is, the general one is a base.
    specific = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or _HTTP_ENDPOINT
    return specific or f"{base.rstrip('/')}/v1/{signal}"


class Sender:
    """Delivers to one target with the SDK's exporter, which is imported at the first delivery.

    All of it happens on the thread that calls `deliver`. ``problem`` is the last failure, None after a
    success; only the first one is reported. ``refused`` is set when the target turns out to take no such
    signal, as a collector for traces does with metrics: that is no failure, and it is not asked again.
    """

    def __init__(self, target: Target, report: Callable[[str], None], signal: str = TRACES) -> None:
        self.target = target
        self.problem: str | None = None
        self.refused = False
        self.sent = 0
        self._signal = signal
        self._report = report
        self._said = False
        self._exporter: Any = None
        self._calm = Calm()
        self._hush = _Hush()
        if target.kind == "otlp-grpc":
            _import_what_grpc_cannot_at_exit()

    def deliver(self, batch: Any) -> bool:
        """Export ``batch``, spans or metrics data; False when it did not arrive but is to be tried again."""
        self._hush.last = ""
        try:
            if self._exporter is None:
                self._exporter = _exporter(self.target, self._signal)
                self._hush.install(threading.get_ident())
            # By name: the exporter's own module may have been loaded with another copy of the enumeration.
            arrived: bool = self._exporter.export(batch).name == "SUCCESS"
            reason = self._hush.last or "not accepted"
        except Exception as error:  # The network, the TLS setup, a missing package: the target's, not ours.
            arrived, reason = False, f"{type(error).__name__}: {error}"
        self.sent += arrived
        if not arrived and self._signal == METRICS and _NOT_TAKEN.search(reason):
            self.refused, self.problem = True, "takes no metrics"
            return True
        self.problem = None
        if not arrived:
            self._fail(reason, "; retrying")
        return arrived

    def give_up(self) -> None:
        """Say what is wrong when there is no more time to wait for an answer."""
        self._fail(self._hush.last or self.problem or "no answer in time", "")

    def _fail(self, reason: str, then: str) -> None:
        self.problem = " ".join(reason.split())[:200]
        if not self._said:
            self._said = True
            kept = f"{',' if then else ';'} the local store has them" if self._signal == TRACES else ""
            where = f"no {self._signal} reach {self.target.endpoint}"
            self._report(f"{where} ({self.problem}){then}{kept}")

    def deliver_spans(self, spans: Sequence[ReadableSpan]) -> bool:
        """`deliver` those of ``spans`` that were sampled."""
        sampled = [span for span in spans if span.context and span.context.trace_flags.sampled]
        return not sampled or self.deliver(sampled)

    def ready(self) -> bool:
        """Whether delivering now would import nothing while the host does; asked once a second."""
        return self._exporter is not None or self._calm.reached()

    def close(self) -> None:
        """Let go of the SDK's loggers; a request under way is left to the daemon thread it runs on."""
        self._hush.remove()


class Calm:
    """Tells when the host has done importing: two threads that import each other's halves see half a module.

    That is when no thread imports and nothing has been imported since it was last asked; or after a minute.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._modules = -1

    def reached(self) -> bool:
        """Whether it is calm now; ask about once a second."""
        before, self._modules = self._modules, len(sys.modules)
        quiet = before == self._modules and not _importing()
        return quiet or self._clock() - self._begun > _LONGEST_START


def _importing() -> bool:
    own = threading.get_ident()
    for thread, top in sys._current_frames().items():
        frame = top if thread != own else None
        while frame is not None:
            if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
                return True
            frame = frame.f_back
    return False


def _import_what_grpc_cannot_at_exit() -> None:
    """Load what cannot be imported at shutdown (it needs thread pools); a short process exports only then."""
    import concurrent.futures.thread  # noqa: F401

    with contextlib.suppress(ImportError):
        import opentelemetry.sdk._logs  # noqa: F401 - the gRPC exporter imports it in every version


_EXPORTERS: Final = {
    (TRACES, "console"): "opentelemetry.sdk.trace.export:ConsoleSpanExporter",
    (TRACES, "otlp-http"): "opentelemetry.exporter.otlp.proto.http.trace_exporter:OTLPSpanExporter",
    (TRACES, "otlp-grpc"): "opentelemetry.exporter.otlp.proto.grpc.trace_exporter:OTLPSpanExporter",
    (METRICS, "console"): "opentelemetry.sdk.metrics.export:ConsoleMetricExporter",
    (METRICS, "otlp-http"): "opentelemetry.exporter.otlp.proto.http.metric_exporter:OTLPMetricExporter",
    (METRICS, "otlp-grpc"): "opentelemetry.exporter.otlp.proto.grpc.metric_exporter:OTLPMetricExporter",
}
_making = threading.Lock()


def _forked() -> None:
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _exporter(target: Target, signal: str) -> Any:
    from opentelemetry import context as context_api

    # So that instrumented HTTP clients make no spans of our sending spans; this thread does nothing else.
    key = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    context_api.attach(context_api.set_value(key, True))
    module, _, name = _EXPORTERS[signal, target.kind].partition(":")
    # One thread at a time: the two exporters of a protocol share most of their modules.
    with _making, _quiet_grpc() if target.kind == "otlp-grpc" else contextlib.nullcontext():
        return getattr(importlib.import_module(module), name)()


@contextlib.contextmanager
def _quiet_grpc() -> Iterator[None]:
    """Have gRPC's C library, which reads this once as it starts, write only errors to the host's stderr."""
    ours = "GRPC_VERBOSITY" not in os.environ
    if ours:
        os.environ["GRPC_VERBOSITY"] = "ERROR"
    try:
        yield
    finally:
        if ours:
            os.environ.pop("GRPC_VERBOSITY", None)


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
            # Before the SDK's own, which swallow what looks like a repetition: it may be another exporter's.
            logger.filters.insert(0, self)

    def remove(self) -> None:
        for logger in self._loggers:
            logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        if record.levelno >= logging.WARNING:
            message = record.getMessage()
            # That it gave up is no reason; why, it has said before.
            self.last = self.last if self.last and "max retries" in message.lower() else message
        return False
