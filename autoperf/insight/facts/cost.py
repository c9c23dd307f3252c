"""What autoperf itself took of the CPU in one process, as the process measured it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from autoperf.errors.wording import is_number

_SHOWN: Final = 3


@dataclass
class Cost:
    """CPU seconds: of the start, of wrappers by the feature they serve, of our threads, of the process.

    ``error`` is twice the standard error of the wrappers' sum, of which one call of N is timed.
    """

    start: float = 0.0
    features: dict[str, float] = field(default_factory=dict)
    threads: dict[str, float] = field(default_factory=dict)
    error: float = 0.0
    cpu: float = 0.0

    @property
    def running(self) -> float:
        """All but the start."""
        return sum(self.features.values()) + sum(self.threads.values())

    def as_row(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {**asdict(self), "running": self.running}

    def line(self) -> str:
        """In words: the sum, its uncertainty, what takes most of it, and the start apart."""
        parts = {**self.features, "own threads": sum(self.threads.values())}
        most = sorted(parts.items(), key=lambda part: -part[1])[:_SHOWN]
        named = ", ".join(f"{name} {_seconds(spent)}" for name, spent in most if spent > 0)
        share = f" of the {_seconds(self.cpu)} of the process" if self.cpu else ""
        said = f"autoperf itself, CPU: {_seconds(self.running)} (+- {_seconds(self.error)}){share}"
        return f"{said}{f': {named}' if named else ''}; its start {_seconds(self.start)}"


def costs(*processes: Mapping[str, Any]) -> Cost | None:
    """The cost that these records tell, added up; None where none does."""
    found, squares = None, 0.0
    for process in processes:
        told = process.get("cost") or {}
        if not is_number(told.get("start")):
            continue
        found = found or Cost()
        found.start += told["start"]
        found.cpu += told["cpu"] if is_number(told.get("cpu")) else 0.0
        for row in told.get("seams") or ():
            name = str(row.get("feature") or "trace")
            found.features[name] = found.features.get(name, 0.0) + row["seconds"]
            squares += row["error"] ** 2
        for name, seconds in (told.get("threads") or {}).items():
            found.threads[name] = found.threads.get(name, 0.0) + seconds
    if found is not None:
        found.error = math.sqrt(squares)
    return found


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
