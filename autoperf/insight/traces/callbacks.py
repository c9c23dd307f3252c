"""What took most of the host's callbacks on the streams of models: extensions and functions by their time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autoperf.errors.wording import milliseconds
from autoperf.insight.traces.layers import STREAM
from autoperf.insight.traces.tree import Node
from autoperf.telemetry import names


class Callbacks:
    """Seconds of the extension and of the function that took most of each model call, added up by name.

    Functions are the extensions' ``execute`` and the host's callbacks, those without the extensions in them.
    """

    def __init__(self) -> None:
        self.extensions: dict[str, float] = {}
        self.functions: dict[str, float] = {}

    def add(self, spans: Iterable[Node]) -> None:
        """Count in what ``spans`` tell; those of model calls do."""
        for node in spans:
            told = node.row.attributes
            extension, point = told.get(names.CALLBACK_EXTENSION), told.get(names.CALLBACK_POINT)
            _count(
                self.extensions,
                extension and f"{extension} ({point})",
                told,
                names.CALLBACK_EXTENSION_SECONDS,
            )
            _count(self.functions, told.get(names.CALLBACK_FUNCTION), told, names.CALLBACK_FUNCTION_SECONDS)

    def most(self) -> str:
        """The extension and the function that took most, with their seconds; "" where none is known."""
        tops = [max(of.items(), key=lambda item: item[1]) for of in (self.extensions, self.functions) if of]
        return ", ".join(f"{name} {milliseconds(seconds * 1e3)}" for name, seconds in tops)

    def as_row(self) -> dict[str, dict[str, float]]:
        """As ``--json`` prints it."""
        return {"extensions": self.extensions, "functions": self.functions}


def _count(sums: dict[str, float], name: Any, told: Mapping[str, Any], key: str) -> None:
    seconds = told.get(key)
    if name and isinstance(seconds, (int, float)):
        sums[str(name)] = sums.get(str(name), 0.0) + seconds


def details(layer: str, cpu: Mapping[str, float], callbacks: Callbacks) -> str:
    """What is known of a layer beyond its seconds: its CPU time, and what took most of it; or ""."""
    told = [f"CPU {milliseconds(cpu[layer] * 1e3)}"] if layer in cpu else []
    if layer == STREAM and (most := callbacks.most()):
        told.append(f"most: {most}")
    return "; ".join(told)
