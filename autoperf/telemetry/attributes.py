"""Values as attributes that every exporter can encode, within the SDK's limits, which it would log about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from autoperf.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_TEXT_LENGTH: Final = 1000


def bounded(given: Mapping[str, Any] | None, limits: Any) -> dict[str, Any]:
    """The attributes to begin a span with; None is no value, and those past the limit are left out.

    ``limits`` is the SDK's ``SpanLimits`` or None.
    """
    most = getattr(limits, "max_span_attributes", None)
    longest = getattr(limits, "max_span_attribute_length", None)
    found = {key: _clipped(attribute(key, v), longest) for key, v in (given or {}).items() if v is not None}
    return found if most is None or len(found) <= most else dict(list(found.items())[:most])


def put(span: Span, key: str, value: Any) -> None:
    """Set one attribute of ``span``, unless it has as many as it may."""
    limits = getattr(span, "_limits", None)
    most = getattr(limits, "max_span_attributes", None)
    if most is not None:
        present = getattr(span, "attributes", None) or {}
        if len(present) >= most and not (most and key in present):
            return
    kind = type(value)
    if kind is not bool and kind is not float:
        value = _clipped(attribute(key, value), getattr(limits, "max_span_attribute_length", None))
    span.set_attribute(key, value)


def _clipped(value: Any, longest: int | None) -> Any:
    if longest is None:
        return value
    if type(value) is list:
        return [each[:longest] if type(each) is str else each for each in value]
    return value[:longest] if type(value) is str else value


def attribute(key: str, value: Any) -> Any:
    """``value`` as an attribute; content, whose length has a limit of its own, is not shortened."""
    return clean(value, len(value)) if key in names.CONTENT and type(value) is str else plain(value)


def plain(value: Any) -> Any:
    """``value`` as an attribute that every exporter can encode; one bad value costs the whole batch there."""
    kind = type(value)
    if kind is str:
        return clean(value, _TEXT_LENGTH)
    if kind is bool or kind is float:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else "int"
    if kind is list and {type(item) for item in value} in ({int}, {float}):
        return value
    if kind in (list, tuple, set, frozenset):
        return [clean(str(plain(item)), _TEXT_LENGTH) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    # Not str(value): that may run host code, and nobody knows what it would reveal.
    return kind.__name__


def clean(text: str, length: int) -> str:
    """``text`` cut at ``length`` characters, lone surrogates (no UTF-8, no protobuf) replaced."""
    if len(text) > length:
        text = text[: length - 1] + "…"
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
