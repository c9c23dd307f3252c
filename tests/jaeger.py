"""A real Jaeger in a process of its own, everything in memory, and what its query API tells."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from tests.conventions import operation

NAMES = ("jaeger-all-in-one", "all-in-one")
# Every port that Jaeger v1 opens by itself is named here, so that several can run on one machine.
_TCP = {
    "admin": "admin.http.host-port",
    "query": "query.http-server.host-port",
    "query-grpc": "query.grpc-server.host-port",
    "http": "collector.otlp.http.host-port",
    "grpc": "collector.otlp.grpc.host-port",
    "collector": "collector.http-server.host-port",
    "collector-grpc": "collector.grpc-server.host-port",
    "agent": "http-server.host-port",
}
_UDP = {
    "binary": "processor.jaeger-binary.server-host-port",
    "compact": "processor.jaeger-compact.server-host-port",
    "zipkin": "processor.zipkin-compact.server-host-port",
}
# What Jaeger makes of fields that are no attributes, and what it adds of its own.
_ADDED = ("span.kind", "error", "otel.status_code", "internal.span.format", "otel.library.name")
_ADDED += ("otel.library.version", "otel.scope.name", "otel.scope.version")


def executable() -> str | None:
    """``JAEGER_BIN``, else Jaeger v1's all-in-one on PATH or where `go install` puts it, else None."""
    if named := os.environ.get("JAEGER_BIN"):
        return named
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    if go := shutil.which("go"):
        told = subprocess.run([go, "env", "GOBIN", "GOPATH"], capture_output=True, text=True, check=False)
        gobin, gopath = [*told.stdout.splitlines(), "", ""][:2]
        folders.append(gobin or os.path.join(gopath, "bin"))
    return next(filter(None, (shutil.which(name, path=os.pathsep.join(folders)) for name in NAMES)), None)


needs_jaeger = pytest.mark.skipif(
    executable() is None, reason="there is no Jaeger here: neither JAEGER_BIN nor an all-in-one on PATH"
)


@dataclass(frozen=True)
class Span:
    """One span as Jaeger has it; times in us, ``service`` is what it knows of the process."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    error: bool
    start: int
    length: int
    events: int
    attributes: dict[str, Any]
    links: list[tuple[str, str]] = field(default_factory=list)
    service: dict[str, Any] = field(default_factory=dict)


class Jaeger:
    """Starts with ``with``; ``endpoints`` are the OTLP ones, by protocol as the standard variable has it."""

    def __init__(self, folder: Path) -> None:
        self._binary = executable() or NAMES[0]
        self._output = folder / "jaeger.txt"
        self._ports = {
            **dict(zip(_TCP, _free(len(_TCP), socket.SOCK_STREAM), strict=True)),
            **dict(zip(_UDP, _free(len(_UDP), socket.SOCK_DGRAM), strict=True)),
        }
        self.endpoints = {
            "http/protobuf": f"http://127.0.0.1:{self._ports['http']}",
            "grpc": f"http://127.0.0.1:{self._ports['grpc']}",
        }

    def __enter__(self) -> Jaeger:
        flags = [f"--{flag}=127.0.0.1:{self._ports[key]}" for key, flag in {**_TCP, **_UDP}.items()]
        environment = {"SPAN_STORAGE_TYPE": "memory", "COLLECTOR_OTLP_ENABLED": "true"}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [self._binary, *flags],
                cwd=self._output.parent,
                env={"PATH": os.environ.get("PATH", os.defpath), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self._get("admin", "/"):
                    for port in ("http", "grpc"):
                        socket.create_connection(("127.0.0.1", self._ports[port]), timeout=5).close()
                    return
            time.sleep(0.05)
        raise RuntimeError(f"{self._binary} did not start as Jaeger v1 does:\n{self._said()}")

    def _stop(self) -> None:
        self._process.kill()  # it has nothing to save, and takes seconds to end by itself
        self._process.wait()

    def _said(self) -> str:
        return "\n".join(self._output.read_text(errors="replace").splitlines()[-10:])

    def _get(self, port: str, path: str) -> Any:
        address = f"http://127.0.0.1:{self._ports[port]}{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=10) as answer:
            return json.load(answer)

    def take(self, otlp: bytes) -> None:
        """Send it a file in OTLP's JSON."""
        address = f"{self.endpoints['http/protobuf']}/v1/traces"
        request = urllib.request.Request(address, otlp, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            assert answer.status == 200

    def trace(self, trace_id: str, count: int) -> list[Span]:
        """The spans of one trace, once there are ``count`` of them; what there is after 15 s."""
        deadline = time.monotonic() + 15
        while True:
            spans = []
            with contextlib.suppress(urllib.error.HTTPError):  # 404 until the first is stored
                spans = list(spans_of(self._get("query", f"/api/traces/{trace_id}")["data"][0]))
            if len(spans) >= count or time.monotonic() > deadline:
                return spans
            time.sleep(0.1)

    def services(self) -> list[str]:
        """The names of all services that have sent something."""
        return sorted(self._get("query", "/api/services")["data"] or [])

    def spans(self, service: str, count: int) -> list[Span]:
        """All spans of ``service``, once there are ``count`` of them; what there is after 15 s."""
        deadline = time.monotonic() + 15
        while True:
            found = self._get("query", f"/api/traces?service={service}&limit=1000&lookback=1h")["data"]
            spans = [span for trace in found for span in spans_of(trace)]
            if len(spans) >= count or time.monotonic() > deadline:
                return sorted(spans, key=lambda span: span.start)
            time.sleep(0.1)  # the collector stores from a queue


def spans_of(trace: dict[str, Any]) -> Iterator[Span]:
    """The spans of one trace as Jaeger's API tells them."""
    for span in trace["spans"]:
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        process = trace["processes"][span["processID"]]
        references = [(ref["refType"], ref["traceID"], ref["spanID"]) for ref in span["references"]]
        parents = [identity for kind, _, identity in references if kind == "CHILD_OF"]
        yield Span(
            trace_id=span["traceID"],
            span_id=span["spanID"],
            parent_id=parents[0] if parents else None,
            name=span["operationName"],
            kind=tags.get("span.kind", ""),
            error=tags.get("error") is True and tags.get("otel.status_code") == "ERROR",
            start=span["startTime"],
            length=span["duration"],
            events=len(span["logs"] or []),
            attributes={key: value for key, value in tags.items() if key not in _ADDED},
            links=[(trace_id, identity) for kind, trace_id, identity in references if kind != "CHILD_OF"],
            service={
                "service.name": process["serviceName"],
                **{tag["key"]: tag["value"] for tag in process["tags"]},
            },
        )


class Traces(NamedTuple):
    """What Jaeger has, and what the local store has of the same run."""

    services: list[str]
    spans: list[Span]
    stored: list[dict[str, object]]

    def of(self, kind: str) -> list[Span]:
        return [span for span in self.spans if operation(span.name) == kind]

    def above(self, span: Span, *skipped: str) -> Span | None:
        """The nearest span above that is none of the ``skipped`` kinds."""
        by_id = {(one.trace_id, one.span_id): one for one in self.spans}
        parent = by_id.get((span.trace_id, span.parent_id or ""))
        while parent is not None and operation(parent.name) in skipped:
            parent = by_id.get((parent.trace_id, parent.parent_id or ""))
        return parent

    def kind_above(self, span: Span, *skipped: str) -> str | None:
        parent = self.above(span, *skipped)
        return None if parent is None else operation(parent.name)

    def below(self, span: Span) -> list[Span]:
        """All spans beneath ``span`` up to the next agent, which counts its own steps."""
        children = [
            one for one in self.spans if (one.trace_id, one.parent_id) == (span.trace_id, span.span_id)
        ]
        own = [one for one in children if operation(one.name) != names.INVOKE_AGENT]
        return own + [deeper for one in own for deeper in self.below(one)]


def collected(jaeger: Jaeger, home: Path) -> Traces:
    """All that the store has, and as many from Jaeger."""
    with Store.open(home) as store:
        stored = [span for trace in store.traces(limit=1000) for span in store.spans(trace["trace_id"])]
    spans = jaeger.spans(names.DEFAULT_SERVICE, len(stored))
    return Traces(jaeger.services(), spans, stored)


def _free(count: int, kind: socket.SocketKind) -> list[int]:
    """Ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket(socket.AF_INET, kind)) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
