"""Attribute values as both file formats want them: typed, finite, without the user's home directory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autoperf.telemetry.redaction import homeless
from autoperf.telemetry.store.tables import SpanRow

# The spans of one trace, and the resource attributes of the processes that recorded them, by pid.
Described = tuple[Sequence[SpanRow], Mapping[int, Mapping[str, Any]]]
# ASCII, so that no reader can mistake the encoding.
to_text: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def shareable(value: Any) -> str | bool | int | float | list[Any]:
    """``value`` as text, bool, int (64 bits), float or a list of these; home directories become ``~``."""
    if isinstance(value, str):
        # Lone surrogates are no UTF-8.
        return homeless(value.encode("utf-8", "replace").decode("utf-8"))
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [shareable(item) for item in value]
    return shareable(str(value))
