"""Telemetry started in a test or in a process of its own, and what it left in the store."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from autoperf.process.config import Config
from autoperf.telemetry.store.store import Store
from autoperf.telemetry.tracing import Telemetry

PRELUDE = """
import os, sys, time, signal
from pathlib import Path
from autoperf.process.config import Config
from autoperf.telemetry.tracing import Telemetry
telemetry = Telemetry.start(Config(), resource={"service.version": "v9"}, snapshot=lambda: {"local": 3},
                            store_dir=Path(sys.argv[1]))
"""

SOME_WORK = """
    with telemetry.span("invoke_agent A0", {"gen_ai.operation.name": "invoke_agent"}):
        try:
            with telemetry.span("execute_tool x"):
                raise OSError("private")
        except OSError:
            pass
"""


def begin(home: Path, **snapshot: Any) -> Telemetry:
    return Telemetry.start(Config(), resource={}, snapshot=lambda: snapshot, store_dir=home)


def stored(home: Path) -> list[dict[str, Any]]:
    store = Store.open(home)
    return [span for trace in store.traces(1000) for span in store.spans(trace["trace_id"])]


def run(code: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    process = spawn(code, home, **variables)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def spawn(code: str, home: Path, **variables: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_"))}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PRELUDE + textwrap.dedent(code), str(home)],
        env=clean | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
