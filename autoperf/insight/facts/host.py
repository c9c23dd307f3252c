"""What is known of the host of one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoperf.telemetry import names


def version(record: Mapping[str, Any]) -> str:
    """Its tag or commit, or the range that it lies in with a ``~``; empty when nothing is known."""
    host = record.get("host") or {}
    found = host.get("version") or (record.get("resource") or {}).get(names.SERVICE_VERSION)
    return str(found or host.get("generation") or "")
