"""Telemetry: spans into the local store by default, to OTLP when the standard variables say so."""

from autoperf.telemetry.tracing import Telemetry

__all__ = ["Telemetry"]
