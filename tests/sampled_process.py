"""Runs a script and writes down what a sampler is told: python sampled_process.py OUT SCRIPT ARGUMENT...

OUT gets one JSON line per span: its name and the attributes it is created with, before any is set later.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult


class Witness(Sampler):
    """Samples everything, and tells what it was given to decide upon."""

    def __init__(self, out: Path) -> None:
        self._out = out.open("a", encoding="utf-8", buffering=1)

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        *rest: Any,
    ) -> SamplingResult:
        self._out.write(json.dumps([name, dict(attributes or {})]) + "\n")
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

    def get_description(self) -> str:
        return "Witness"


def main(out: str, script: str, *arguments: str) -> None:
    """Every provider of this process gets the witness; then the script runs as if started by itself."""
    begin = TracerProvider.__init__

    def with_witness(self: TracerProvider, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.sampler = Witness(Path(out))

    TracerProvider.__init__ = with_witness  # type: ignore[method-assign]
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
