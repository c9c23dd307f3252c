"""Records of processes as their readers rely on them: a store may be damaged, or another version's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

_DEPTH: Final = 32
_LARGEST: Final = 2.0**63
# Leaves of a shape. A dict has known keys, ... for all others, and under NEEDED those without which it says
# nothing; a list has one shape for all its items, a tuple one for each.
NUMBER: Final = "number"
WHOLE: Final = "whole number"
TEXT: Final = "text"
SCALAR: Final = "number, text, yes or no"
ANY: Final = "anything"
NEEDED: Final = "(needed)"
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    NUMBER: (int, float),
    WHOLE: (int,),
    TEXT: (str,),
    SCALAR: (int, float, str, bool),
}
_COUNTERS: Final = {"hit_rate": NUMBER, "why": {...: NUMBER}, ...: NUMBER}
_EXPORTER: Final = {"kind": TEXT, "endpoint": TEXT, "dropped": NUMBER, "problem": TEXT, ...: ANY}
_TIMING: Final = {"name": TEXT, ...: NUMBER}
_STALLED: Final = {
    "at": NUMBER, "seconds": NUMBER, "loop": TEXT, "stack": [TEXT], "inside": TEXT, "chat": TEXT,
    "tool": TEXT, "cause": TEXT, "holder": TEXT, "measured": {...: NUMBER}, "looks": [(TEXT, WHOLE)],
    "ran": [(TEXT, TEXT, NUMBER)], ...: ANY,
}  # fmt: skip
STALL: Final[Any] = {**_STALLED, NEEDED: ("at", "seconds")}
SAMPLE: Final[Any] = {"children": {...: (WHOLE, NUMBER)}, "lag": {...: NUMBER}, ...: NUMBER}
SHAPE: Final[Any] = {
    "pid": WHOLE,
    "parent_pid": WHOLE,
    "started": NUMBER,
    "updated": NUMBER,
    "ended": NUMBER,
    "autoperf": TEXT,
    "python": TEXT,
    "instance": TEXT,
    "resource": {...: SCALAR},
    "host": {"layout": TEXT, "generation": TEXT, "root": TEXT, "chats": NUMBER, ...: ANY},
    "options": {...: SCALAR},
    "features": [TEXT],
    "patches": [{"target": TEXT, "feature": TEXT, "state": TEXT, "reason": TEXT, ...: ANY}],
    "lookups": {...: _COUNTERS},
    "caches": {...: _COUNTERS},
    "inherited": {"lookups": {...: _COUNTERS}, "caches": {...: _COUNTERS}},
    "changed": {...: _COUNTERS},
    "interventions": {...: ANY},
    "replies": {...: ANY},
    "mcp": {...: ANY},
    "monitor": {
        "interval": NUMBER,
        "stalls": NUMBER,
        "lasting": [{**_STALLED, NEEDED: ("at",)}],
        "last_stall": STALL,
        "sample": SAMPLE,
        ...: ANY,
    },
    "underway": [{"since": NUMBER, "kind": TEXT, "chat": TEXT, "agent": TEXT, ...: SCALAR}],
    "tools": [_TIMING],
    "extension_points": [_TIMING],
    "telemetry": {
        "spans": NUMBER,
        "dropped": NUMBER,
        "store": {...: ANY},
        "exporters": [_EXPORTER],
        "metrics": {"dropped": NUMBER, "exporters": [_EXPORTER], ...: ANY},
        ...: ANY,
    },
    "cost": {
        "seams": [{"seam": TEXT, "feature": TEXT, ...: NUMBER, NEEDED: ("seconds", "error")}],
        "threads": {...: NUMBER},
        ...: NUMBER,
    },
    "failures": [
        {"seam": TEXT, "reason": TEXT, "count": NUMBER, "way_out": TEXT, "error": TEXT, "text": TEXT}
        | {"frames": [TEXT], ...: ANY}
    ],
    ...: ANY,
}


def decoded(text: Any, shape: Any = SHAPE) -> dict[str, Any] | None:
    """The row stored as ``text``, without what has another shape than ``shape``; None when it is none."""
    try:
        found = shaped(json.loads(text), shape)
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def shaped(value: Any, shape: Any) -> Any:
    """``value`` with what does not fit ``shape`` left out; None where it does not fit itself."""
    if isinstance(shape, dict):
        return _mapping(value, shape) if isinstance(value, dict) else None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return None
        return [item for item in (shaped(one, shape[0]) for one in value) if item is not None]
    if isinstance(shape, tuple):
        if not isinstance(value, list) or len(value) != len(shape):
            return None
        fitted = [shaped(one, wanted) for one, wanted in zip(value, shape, strict=True)]
        return None if None in fitted else fitted
    if shape is ANY:
        return plain(value)
    fits = isinstance(value, _KINDS[shape]) and (shape is SCALAR or not isinstance(value, bool))
    return plain(value) if fits else None


def _mapping(value: dict[Any, Any], shape: dict[Any, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for key, one in value.items():
        wanted = shape.get(key, shape.get(..., ANY))
        fitted = shaped(one, wanted)
        # None is an answer of a leaf that is known by name: a rate of nothing, an end that has not come.
        if fitted is not None or (one is None and _may_be_none(key, wanted, shape)):
            found[text_of(key)] = fitted
    return found if all(found.get(key) is not None for key in shape.get(NEEDED, ())) else None


def _may_be_none(key: Any, wanted: Any, shape: dict[Any, Any]) -> bool:
    return wanted is ANY or (isinstance(wanted, str) and key in shape)


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` without what no sum, path or terminal can hold: endless numbers, NULs, half characters."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, (int, float)):
        return value if -_LARGEST < value < _LARGEST else None
    if depth >= _DEPTH:
        return None
    if isinstance(value, dict):
        return {text_of(key): plain(one, depth + 1) for key, one in value.items()}
    return [plain(one, depth + 1) for one in value] if isinstance(value, list) else value


def text_of(text: str) -> str:
    """``text`` as a path may hold it: without NUL, and without half characters that stand for no byte."""
    text = text.replace("\0", "\\x00")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
