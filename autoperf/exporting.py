"""Where the environment sends spans by OTLP, and whether anything listens there; sends nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# OTLP's registered ports, and what OpenTelemetry's collectors speak on them.
GRPC_PORT, HTTP_PORT = 4317, 4318
_DEFAULT = "http/protobuf"
_TRUE = ("true", "1")


@dataclass(frozen=True)
class Endpoint:
    """One OTLP target: ``source`` is the variable that named it."""

    url: str
    protocol: str
    source: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port of the scheme or of the protocol when none is written.

        Raises ``ValueError`` when the URL has no host or a port that is no number.
        """
        parts = urlsplit(self.url if "//" in self.url else f"//{self.url}")
        if not parts.hostname:
            raise ValueError("it names no host")
        if parts.port is not None:
            return parts.hostname, parts.port
        grpc = self.protocol == "grpc"
        return parts.hostname, GRPC_PORT if grpc else {"https": 443, "http": 80}.get(parts.scheme, HTTP_PORT)


def endpoint(environ: Mapping[str, str] | None = None) -> Endpoint | None:
    """The target of spans according to ``OTEL_EXPORTER_OTLP_*``, or None when they stay in the local store.

    Source: OpenTelemetry Protocol Exporter specification; the variable for traces wins over the general one.
    """
    environ = os.environ if environ is None else environ
    protocols = (environ.get(f"OTEL_EXPORTER_OTLP_{kind}PROTOCOL", "").strip() for kind in ("TRACES_", ""))
    protocol = next((name for name in protocols if name), _DEFAULT)
    for variable in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        url = environ.get(variable, "").strip()
        if url:
            return Endpoint(url, protocol, variable)
    return None


def switched_off(environ: Mapping[str, str] | None = None) -> str | None:
    """The standard variable that turns span export off, as it is written, or None."""
    environ = os.environ if environ is None else environ
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() in _TRUE:
        return "OTEL_SDK_DISABLED=true"
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return "OTEL_TRACES_EXPORTER=none"
    return None


def mistaken(target: Endpoint) -> str | None:
    """What is wrong with the way ``target`` is written, with what to write instead; None when nothing is."""
    try:
        _, port = target.address
    except ValueError as error:
        return (
            f"{target.source}={target.url} cannot be used: {error}; write for example http://localhost:4318"
        )
    if target.protocol not in ("grpc", "http/protobuf", "http/json"):
        return f"no OTLP protocol {target.protocol!r}; use grpc or http/protobuf"
    switch = "or set OTEL_EXPORTER_OTLP_PROTOCOL="
    if port == GRPC_PORT and target.protocol != "grpc":
        return f"port {port} speaks gRPC, the protocol is {target.protocol}: use {HTTP_PORT}, {switch}grpc"
    if port == HTTP_PORT and target.protocol == "grpc":
        return f"port {port} speaks HTTP, the protocol is grpc: use {GRPC_PORT}, {switch}http/protobuf"
    return None


def unreachable(target: Endpoint, timeout: float = 1.0) -> str | None:
    """Why no connection to ``target`` can be made within ``timeout`` seconds, or None when one could."""
    try:
        host, port = target.address
        with socket.create_connection((host, port), timeout=timeout):
            return None
    except (OSError, ValueError, UnicodeError) as error:
        return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
