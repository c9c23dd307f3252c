"""The standard variables, read as the SDK does; a value that it would refuse is named and passed over."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from autoperf.telemetry import names

_SHOWN: Final = 40
# OpenTelemetry specification, limits of attributes, events and links.
_COUNT: Final = 128
NO_LIMIT: Final = -1  # SpanLimits.UNSET
_TIMEOUT_S: Final = 10.0
_MOST: Final = 10**9
_COMPRESSIONS: Final = {"otlp-http": ("gzip", "deflate"), "otlp-grpc": ("gzip",)}
_SAMPLERS: Final = ("always_on", "always_off", "traceidratio")


class Variables:
    """Values of ``environ``, which is never changed; ``problems`` has a line for each malformed one."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def text(self, *names: str) -> tuple[str, str]:
        """The first of the variables that has a value: its name and the value, or two empty strings."""
        for name in names:
            if value := self.environ.get(name, "").strip():
                return name, value
        return "", ""

    def complain(self, name: str, wanted: str, then: str) -> None:
        """Note that the value of ``name`` is not ``wanted``, and what is used instead."""
        value = ascii(self.environ[name].strip())[1:-1]
        value = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
        problem = f"{name}={value} is not {wanted}: {then}"
        if problem not in self.problems:
            self.problems.append(problem)

    def _malformed_entry(self, name: str) -> None:
        # Without the value: a part of it may be a key.
        problem = f"{name} has an entry that is not key=value: it is passed over"
        if problem not in self.problems:
            self.problems.append(problem)

    def choice(self, names: Iterable[str], known: Iterable[str], default: str) -> str:
        """One of the words ``known``, in lower case, or the default."""
        name, value = self.text(*names)
        if not value or value.lower() in known:
            return value.lower() or default
        self.complain(name, f"one of {', '.join(known)}", f"{default} is used")
        return default

    def positive(self, name: str, default: int) -> int:
        """A whole number of at least 1, of seconds or milliseconds one that a thread can wait."""
        _, value = self.text(name)
        if not value or (value.isdecimal() and 0 < int(value) <= _MOST):
            return int(value or default)
        self.complain(name, f"a number from 1 to {_MOST:,}", f"{default} is used")
        return default

    def limit(self, name: str, default: int) -> int:
        """A number of things or characters, 0 or more; an empty value is `NO_LIMIT`, as it is to the SDK."""
        value = self.environ.get(name, str(default)).strip()
        if value.isdecimal() or name not in self.environ:
            return int(value)
        if not value:
            return NO_LIMIT
        used = "no limit" if default == NO_LIMIT else str(default)
        self.complain(name, "a number of at least 0", f"{used} is used")
        return default

    def limits(self) -> dict[str, int]:
        """Every argument of the SDK's ``SpanLimits``: one that is missing it would read itself."""
        every = self.limit("OTEL_ATTRIBUTE_COUNT_LIMIT", _COUNT)
        count = _COUNT if every == NO_LIMIT else every
        length = self.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", NO_LIMIT)
        return {
            "max_attributes": count,
            "max_events": self.limit("OTEL_SPAN_EVENT_COUNT_LIMIT", _COUNT),
            "max_links": self.limit("OTEL_SPAN_LINK_COUNT_LIMIT", _COUNT),
            "max_span_attributes": self.limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count),
            "max_event_attributes": self.limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count),
            "max_link_attributes": self.limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count),
            "max_attribute_length": length,
            "max_span_attribute_length": self.limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
        }

    def sampler(self) -> tuple[str, float]:
        """The name of the sampler, and of the traces the share that one with a ratio takes, 0 to 1."""
        known = [prefix + each for prefix in ("parentbased_", "") for each in _SAMPLERS]
        name = self.choice(["OTEL_TRACES_SAMPLER"], known, known[0])
        ratio = 1.0
        variable, value = self.text("OTEL_TRACES_SAMPLER_ARG")
        if name.endswith("traceidratio") and value:
            given = _number(value)
            if 0 <= given <= 1:
                ratio = given
            else:
                self.complain(variable, "a number from 0 to 1", "1.0 is used")
        return name, ratio

    def resource(self) -> dict[str, str]:
        """``OTEL_RESOURCE_ATTRIBUTES``, decoded, and ``OTEL_SERVICE_NAME``, which wins."""
        found = {}
        for pair in self.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
            key, equals, value = pair.partition("=")
            if equals and key.strip():
                found[key.strip()] = unquote(value.strip())
            elif pair.strip():
                self._malformed_entry("OTEL_RESOURCE_ATTRIBUTES")
        if service := self.text("OTEL_SERVICE_NAME")[1]:
            found[names.SERVICE_NAME] = service
        return found

    def unused(self) -> None:
        """Name what OpenTelemetry refuses, and ours does not depend on."""
        self._installed("OTEL_PYTHON_METER_PROVIDER", "meter provider", "traces and metrics do without")
        self._installed("OTEL_PYTHON_CONTEXT", "context", "contextvars_context is used")
        self.choice(["OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"], ("true", "false"), "false")

    def _installed(self, name: str, kind: str, then: str) -> None:
        _, value = self.text(name)
        if value:
            from importlib.metadata import entry_points

            if not list(entry_points(group=f"opentelemetry_{kind.replace(' ', '_')}", name=value)):
                self.complain(name, f"an installed {kind}", then)

    def exporter(self, kind: str, signal: str) -> dict[str, Any]:
        """Arguments of an OTLP exporter for malformed values: ``timeout`` in s, ``compression``."""
        told: dict[str, Any] = {}
        if kind not in _COMPRESSIONS:
            return told

        def names(setting: str) -> list[str]:
            return [f"OTEL_EXPORTER_OTLP_{signal.upper()}_{setting}", f"OTEL_EXPORTER_OTLP_{setting}"]

        name, value = self.text(*names("TIMEOUT"))
        if value and not 0 < _number(value) <= _MOST:
            self.complain(name, "a number of seconds", f"{_TIMEOUT_S:g} s are used")
            told["timeout"] = _TIMEOUT_S
        known = _COMPRESSIONS[kind]
        if self.choice(names("COMPRESSION"), ("none", *known), "none") == "none":
            told["compression"] = "none"
        name, value = self.text(*names("HEADERS"))
        for pair in filter(str.strip, value.split(",")):
            key, equals, _ = pair.partition("=")
            if not (equals and key.strip()):
                self._malformed_entry(name)
        return told


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
