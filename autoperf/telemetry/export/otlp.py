"""Where spans and metrics go besides the store: the standard variables, the SDK's exporters kept quiet."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from autoperf.telemetry.export import exporters
from autoperf.telemetry.export.credentials import hidden, public
from autoperf.telemetry.export.exporters import METRICS as METRICS
from autoperf.telemetry.export.exporters import TRACES as TRACES

if TYPE_CHECKING:
    from autoperf.telemetry.provider import Finished


_GRPC_ENDPOINT: Final = "http://localhost:4317"
_HTTP_ENDPOINT: Final = "http://localhost:4318"
_LONGEST_START: Final = 60.0
# What the SDK's exporters log of HTTP's "no such path" or "not here", and of gRPC's "no such service".
_NOT_TAKEN: Final = re.compile(r"code: (404|405|501)\b|\bUNIMPLEMENTED\b")


class Target(NamedTuple):
    """One exporter: ``kind`` is ``otlp-http``, ``otlp-grpc`` or ``console``; ``endpoint`` is for people."""

    kind: str
    endpoint: str


def targets(environ: Mapping[str, str] = os.environ, signal: str = TRACES) -> tuple[list[Target], list[str]]:
    """The exporters that the ``OTEL_*`` variables ask for, and one line for each value passed over.

    ``signal`` is ``traces`` or ``metrics``. Without ``OTEL_TRACES_EXPORTER`` or ``OTEL_METRICS_EXPORTER`` an
    OTLP endpoint has to be named: no port is tried by default.
    Source: OpenTelemetry specification, SDK environment variables and OTLP exporter.
    """
    endpoint, protocol = public(setting(environ, signal, "ENDPOINT")), setting(environ, signal, "PROTOCOL")
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    wanted = [name.strip().lower() for name in environ.get(variable, "").split(",") if name.strip()]
    if switched_off(environ) or "none" in wanted:
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
            found.append(Target("otlp-http", public(_http_endpoint(environ, signal))))
    return found, problems


def switched_off(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether OpenTelemetry's own switch makes its SDK record nothing, for the local store neither."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def setting(environ: Mapping[str, str], signal: str, name: str) -> str:
    """The value of one OTLP exporter variable: the one for ``signal`` wins over the general one."""
    specific = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
    return specific or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _http_endpoint(environ: Mapping[str, str], signal: str) -> str:
    # The specific variable is used as it is, the general one is a base.
    specific = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or _HTTP_ENDPOINT
    return specific or f"{base.rstrip('/')}/v1/{signal}"


class Sender:
    """Delivers to one target with the SDK's exporter, which is imported at the first delivery.

    All of it happens on the thread that calls `deliver`. ``problem`` is the last failure, None after a
    success; only the first one is reported. ``told`` are the exporter's arguments.
    ``refused`` is set when the target turns out to take no such signal, as a collector for traces does with
    metrics: that is no failure, and it is not asked again.
    """

    def __init__(
        self,
        target: Target,
        report: Callable[[str], None],
        signal: str = TRACES,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        self.target = target
        self._told = told or {}
        self.problem: str | None = None
        self.refused = False
        self.sent = 0
        self._signal = signal
        self._report = report
        self._said = False
        self._busy = self._closed = False
        self._exporter: Any = None
        self._calm = Calm()
        self._hush = exporters.Hush()
        if target.kind == "otlp-grpc":
            exporters.import_what_grpc_cannot_at_exit()

    def deliver(self, batch: Any) -> bool:
        """Export ``batch``, spans or metrics data; False when it did not arrive but is to be tried again."""
        self._busy = True
        try:
            return self._deliver(batch)
        finally:
            self._busy = False
            if self._closed:
                self._hush.remove()

    def _deliver(self, batch: Any) -> bool:
        self._hush.last = ""
        try:
            if self._exporter is None:
                self._exporter = exporters.make(self.target.kind, self._signal, self._told, self._hush)
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
        self.problem = " ".join(hidden(reason, os.environ).split())[:200]
        if not self._said:
            self._said = True
            kept = f"{',' if then else ';'} the local store has them" if self._signal == TRACES else ""
            where = f"no {self._signal} reach {self.target.endpoint}"
            self._report(f"{where} ({self.problem}){then}{kept}")

    def deliver_spans(self, spans: Sequence[Finished]) -> bool:
        """`deliver` those of ``spans`` that were sampled."""
        sampled = [_readable(span) for span in spans if span.context and span.context.trace_flags.sampled]
        return not sampled or self.deliver(sampled)

    def ready(self) -> bool:
        """Whether delivering now would import nothing while the host does; asked once a second."""
        return self._exporter is not None or self._calm.reached()

    def close(self) -> None:
        """Let go of the SDK's loggers; a request under way is left to its daemon thread."""
        self._closed = True
        if not self._busy:
            self._hush.remove()


def _readable(span: Finished) -> Any:
    """As an exporter takes it; a span of our own is made one of the SDK's only here."""
    return span.readable() if hasattr(span, "readable") else span


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
