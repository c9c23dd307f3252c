"""The configuration of one process: every option's value, and what was wrong with those passed over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoperf.features import DEFAULT, FeaturesError, retired
from autoperf.process.options import INTERNAL_VARIABLES, OPTIONS, shown, unknown_variables
from autoperf.telemetry.store.state_directory import default_home


@dataclass(frozen=True)
class Config:
    """Every option's value, where it came from, and what was wrong with the values passed over."""

    features: frozenset[str] = DEFAULT
    home: Path | None = None
    quiet: bool = False
    tool_cache_size: int = 100
    tool_cache_ttl: float = 300.0
    extension_cache_size: int = 50
    extension_cache_ttl: float = 300.0
    detail: str = "step"
    capture_content: bool = False
    content_limit: int = 4096
    mcp_idle: float = 300.0
    mcp_sessions: int = 8
    mcp_standby_mb: int = 256
    monitor_interval: float = 5.0
    stream_hz: float = 20.0
    tool: str = "callable"
    inotify: bool = True
    store_max_mb: int = 64
    sources: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Config:
        """Read all options; ``overrides`` (already typed) win over the environment.

        A bad value never raises: the default stands, or of a list of features the rest, and ``problems``
        gains one line. An override that names no option raises ``TypeError``.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        problems: list[str] = []
        for option in OPTIONS:
            values[option.name], sources[option.name] = option.default, "default"
            if option.name in overrides:
                values[option.name], sources[option.name] = overrides.pop(option.name), "argument"
            elif option.variable in environ:
                try:
                    values[option.name] = option.parse(environ[option.variable])
                    sources[option.name] = option.variable
                except FeaturesError as error:
                    values[option.name], sources[option.name] = error.features, option.variable
                    problems.append(f"{option.variable}: {error}; using {shown(error.features)}")
                except ValueError as error:
                    given = f"{option.variable}={environ[option.variable]!r}"
                    problems.append(f"{given} is ignored: {error}; using {shown(option.default)}")
        for name in retired(environ.get("AUTOPERF_FEATURES", "")):
            problems.append(f"AUTOPERF_FEATURES: {name} is no feature any more and does nothing")
        if overrides:
            raise TypeError(f"no option {', '.join(sorted(overrides))}")
        known = {option.variable for option in OPTIONS} | INTERNAL_VARIABLES
        problems += [f"{name} is not an option of autoperf" for name in unknown_variables(environ, known)]
        return cls(**values, sources=sources, problems=tuple(problems))

    @property
    def state_dir(self) -> Path:
        """Where the local store lives."""
        return self.home or default_home()

    def on(self, feature: str) -> bool:
        """Whether ``feature`` is switched on."""
        return feature in self.features
