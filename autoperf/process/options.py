"""The options of autoperf: one typed row each, read from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from autoperf.features import DEFAULT, parse_features

# From the least to the most.
DETAILS: Final = ("turn", "step", "all")
TOOL_MODES: Final = ("off", "read-only", "callable", "advertise")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})


class Option(NamedTuple):
    """One option: its attribute on `Config`, its environment variable, and what it means.

    ``parse`` turns the text of the variable into the value and raises ``ValueError`` with a reason.
    """

    name: str
    variable: str
    default: Any
    parse: Callable[[str], Any]
    meaning: str


def _switch(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("use 1 or 0")


def _at_least(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError("use a whole number") from None
        if value < minimum:
            raise ValueError(f"use {minimum} or more")
        return value

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("use a number of seconds") from None
    if not 0 < value < float("inf"):
        raise ValueError("use a number of seconds above 0")
    return value


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("use a number of times a second") from None
    if not 0 < value < float("inf"):
        raise ValueError("use a number above 0")
    return value


def _detail(text: str) -> str:
    if text.strip().lower() not in DETAILS:
        raise ValueError(f"use {', '.join(DETAILS[:-1])} or {DETAILS[-1]}")
    return text.strip().lower()


def _tool(text: str) -> str:
    # An operator who types a switch means one.
    lowered = text.strip().lower().replace("_", "-")
    mode = {"0": "off", "no": "off", "false": "off", "none": "off", "readonly": "read-only"}.get(
        lowered, lowered
    )
    if mode not in TOOL_MODES:
        raise ValueError(f"use {', '.join(TOOL_MODES[:-1])} or {TOOL_MODES[-1]}")
    return mode


def _capture(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("span_only", "span_and_event"):
        return True
    # Content in events only is none for us: we send spans.
    if lowered in ("no_content", "event_only"):
        return False
    try:
        return _switch(text)
    except ValueError:
        raise ValueError("use true, false, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT or NO_CONTENT") from None


def _home(text: str) -> Path | None:
    return Path(os.path.abspath(os.path.expanduser(text))) if text.strip() else None


OPTIONS: Final[tuple[Option, ...]] = (
    Option("features", "AUTOPERF_FEATURES", DEFAULT, parse_features, "which features are on"),
    Option(
        "home", "AUTOPERF_HOME", None, _home, "state directory; default is the user's XDG state directory"
    ),
    Option("quiet", "AUTOPERF_QUIET", False, _switch, "no line on stderr at all"),
    Option("tool_cache_size", "AUTOPERF_TOOL_CACHE_SIZE", 100, _at_least(1), "tool entries kept"),
    Option(
        "tool_cache_ttl",
        "AUTOPERF_TOOL_CACHE_TTL",
        300.0,
        _seconds,
        "seconds a tool entry is kept after it was loaded",
    ),
    Option(
        "extension_cache_size", "AUTOPERF_EXTENSION_CACHE_SIZE", 50, _at_least(1), "extension entries kept"
    ),
    Option(
        "extension_cache_ttl",
        "AUTOPERF_EXTENSION_CACHE_TTL",
        300.0,
        _seconds,
        "seconds an extension entry is kept after it was loaded",
    ),
    Option(
        "detail",
        "AUTOPERF_DETAIL",
        "step",
        _detail,
        f"how much of a turn becomes spans: {', '.join(DETAILS)}",
    ),
    Option(
        "capture_content",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        False,
        _capture,
        "whether spans hold messages, prompts, arguments and results",
    ),
    Option(
        "content_limit",
        "AUTOPERF_CONTENT_LIMIT",
        4096,
        _at_least(1),
        "characters of content in one attribute, if it is captured at all",
    ),
    Option(
        "mcp_idle",
        "AUTOPERF_MCP_IDLE",
        300.0,
        _seconds,
        "seconds an MCP session is kept, or an MCP server stands by, without being used",
    ),
    Option("mcp_sessions", "AUTOPERF_MCP_SESSIONS", 8, _at_least(1), "MCP sessions kept at once"),
    Option(
        "mcp_standby_mb",
        "AUTOPERF_MCP_STANDBY_MB",
        256,
        _at_least(1),
        "MiB that MCP servers standing by may take together",
    ),
    Option(
        "monitor_interval",
        "AUTOPERF_MONITOR_INTERVAL",
        5.0,
        _seconds,
        "seconds from one sample of the process to the next",
    ),
    Option(
        "stream_hz",
        "AUTOPERF_STREAM_HZ",
        20.0,
        _rate,
        "times a second that stream callbacks run, with the feature throttle",
    ),
    Option(
        "tool",
        "AUTOPERF_TOOL",
        "callable",
        _tool,
        "the tool performance_optimizer: off, read-only, callable, or also in the agent's prompt (advertise)",
    ),
    Option(
        "inotify",
        "AUTOPERF_INOTIFY",
        True,
        _switch,
        "whether inotify tells of changes; 0: each file and name is looked at when it is asked for",
    ),
    Option("store_max_mb", "AUTOPERF_STORE_MAX_MB", 64, _at_least(1), "size limit of the local store in MiB"),
)


INTERNAL_VARIABLES: Final = frozenset(
    {
        "AUTOPERF_AGENT_ZERO",
        "AUTOPERF_DEBUG",
        "AUTOPERF_DISABLED",
        "AUTOPERF_FAIL_OPEN",
        "AUTOPERF_RAISE",
        "AUTOPERF_HOST_PID",
        "AUTOPERF_LAUNCH_PID",
    }
)


def unknown_variables(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Names beginning with ``AUTOPERF_`` that mean nothing to us: most likely misspelt."""
    names = set(known)
    return sorted(name for name in environ if name.startswith("AUTOPERF_") and name not in names)


def shown(value: Any) -> str:
    """An option's value as a person would type it."""
    if isinstance(value, frozenset):
        return "all" if value == DEFAULT else ",".join(sorted(value)) or "none"
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)
