"""Rows to store, and other processes that use the same store."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from autoperf.telemetry.store.store import SpanRow


def row(trace: int, span: int = 1, *, at: int = 0, parent: str | None = None, size: int = 10) -> SpanRow:
    return SpanRow(
        f"{trace:032x}", f"{span:016x}", parent, f"span {span}", "internal", at or trace, (at or trace) + 5,
        "unset", os.getpid(), {"text": "x" * size},
    )  # fmt: skip


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    prelude = (
        "import os, sys, time, sqlite3\nfrom pathlib import Path\n"
        "from autoperf.telemetry.store.store import Store, SpanRow\n"
        "home = Path(sys.argv[1])\n"
        "def row(trace, span=1):\n"
        "    return SpanRow(f'{trace:032x}', f'{span:016x}', None, 'n', 'internal', trace, trace + 5,\n"
        "                   'unset', os.getpid(), {})\n"
    )
    command = [sys.executable, "-c", prelude + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def files(directory: Path) -> dict[str, os.stat_result]:
    return {entry.name: entry.stat() for entry in directory.iterdir()}
