"""An OTLP endpoint as it is written: port and protocol that contradict each other, and whether it answers."""

from __future__ import annotations

import re
import socket
from typing import Final, NamedTuple
from urllib.parse import urlsplit

# OTLP's registered ports, and what OpenTelemetry's collectors speak on them.
GRPC_PORT: Final = 4317
HTTP_PORT: Final = 4318


class Endpoint(NamedTuple):
    """One OTLP target: ``grpc`` is False for HTTP."""

    url: str
    grpc: bool

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
        usual = GRPC_PORT if self.grpc else HTTP_PORT
        return parts.hostname, usual if self.grpc else {"https": 443, "http": 80}.get(parts.scheme, usual)

    @property
    def public(self) -> str:
        """The URL without the user and password that may stand in it."""
        return re.sub(r"//[^/@]*@", "//", self.url)


def mistaken(target: Endpoint) -> str | None:
    """What is wrong with the way ``target`` is written, with what to write instead; None when nothing is."""
    try:
        _, port = target.address
    except ValueError as error:
        return f"{target.public} cannot be used: {error}; write for example http://localhost:{HTTP_PORT}"
    switch = "or set OTEL_EXPORTER_OTLP_PROTOCOL="
    if port == GRPC_PORT and not target.grpc:
        return f"port {port} speaks gRPC, the protocol is http/protobuf: use {HTTP_PORT}, {switch}grpc"
    if port == HTTP_PORT and target.grpc:
        return f"port {port} speaks HTTP, the protocol is grpc: use {GRPC_PORT}, {switch}http/protobuf"
    return None


def unreachable(target: Endpoint, timeout: float = 1.0) -> str | None:
    """Why no connection to ``target`` can be made within ``timeout`` seconds, or None when one could."""
    try:
        with socket.create_connection(target.address, timeout=timeout):
            return None
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
