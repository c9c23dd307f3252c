"""A small real OTLP collector on 127.0.0.1, over HTTP or gRPC, that decodes what it gets; or misbehaves."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Received:
    """The spans, metrics and resources that have arrived, in plain types."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []  # one mapping of name to metric for each request
        self.headers: dict[str, str] = {}
        self.requests = 0
        self.metric_requests = 0

    def take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for group in request.resource_metrics:
            found = {metric.name: metric for scope in group.scope_metrics for metric in scope.metrics}
            self.metrics.append(found)

    def take(self, request: ExportTraceServiceRequest) -> None:
        self.requests += 1
        for group in request.resource_spans:
            self.resources.append(_attributes(group.resource.attributes))
            self.spans += [
                _span(span, scope.scope.name) for scope in group.scope_spans for span in scope.spans
            ]

    @property
    def names(self) -> list[str]:
        return [span["name"] for span in self.spans]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


def _span(span: Any, scope: str) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex() or None,
        "name": span.name,
        "kind": span.kind,
        "scope": scope,
        "status": span.status.code,
        "events": len(span.events),
        "attributes": _attributes(span.attributes),
    }


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up, perhaps in another test by now: its traceback is nobody's output."""


class HttpCollector(Received):
    """Answers ``POST /v1/traces`` with ``status``; use it in a ``with`` block.

    ``metrics_status`` is what ``/v1/metrics`` answers, ``delay`` the seconds before any answer, ``garbage``
    an answer that is no protobuf, ``port`` where to listen.
    """

    def __init__(
        self,
        status: int = 200,
        *,
        metrics_status: int = 200,
        delay: float = 0,
        garbage: bool = False,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.status = status
        self.metrics_status = metrics_status
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers = {**self.headers}
                time.sleep(delay)
                status = collector.status
                if self.path == "/v1/metrics":
                    collector.metric_requests += 1
                    status = collector.metrics_status
                    if status == 200:
                        collector.take_metrics(ExportMetricsServiceRequest.FromString(body))
                elif status == 200 and self.path == "/v1/traces":
                    collector.take(ExportTraceServiceRequest.FromString(body))
                answer = b"<html>\xff what?" if garbage else ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> HttpCollector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class GrpcCollector(Received):
    """The same over gRPC; ``code`` names a status to fail with, ``metrics`` says whether it takes them."""

    def __init__(self, code: str = "", *, metrics: bool = True, delay: float = 0, port: int = 0) -> None:
        super().__init__()
        import grpc
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

        collector = self

        class Servicer(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
                time.sleep(delay)
                if code:
                    context.abort(getattr(grpc.StatusCode, code), "no")
                collector.headers = dict(context.invocation_metadata())
                collector.take(request)
                return ExportTraceServiceResponse()

        class MetricsServicer(metrics_service_pb2_grpc.MetricsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
                collector.take_metrics(request)
                return ExportMetricsServiceResponse()

        self._server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Servicer(), self._server)
        if metrics:
            metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(MetricsServicer(), self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> GrpcCollector:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


class HangingCollector:
    """Accepts connections and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> HangingCollector:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def refused_endpoint() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
