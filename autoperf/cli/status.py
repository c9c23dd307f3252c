"""Show what autoperf did, live or in the last process that ended.

Every number was measured in that process; what was not measured is not shown.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from autoperf import processes
from autoperf.cli.rendering import snapshot
from autoperf.cli.terminal import show, show_json
from autoperf.config import Config
from autoperf.errors import say

_SILENT_SHOWN = 3  # launches


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[--pid N] [--home DIR] [--json]``."""
    parser.add_argument("--pid", metavar="N", type=int, help="this process; default: the newest that runs")
    parser.add_argument("--home", metavar="DIR", type=Path, help="where the local store lies")
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print one process; exit 1 when there is none."""
    given: dict[str, Any] = {"home": args.home.absolute()} if args.home else {}
    directory = Config.from_environ(**given).state_dir
    row = processes.chosen(processes.newest(directory, 1000 if args.pid else 50), args.pid)
    running = row is not None and processes.runs(row)
    silent = processes.unreported(directory, row)
    if args.pid is not None:
        silent = [launch for launch in silent if row is None and launch["pid"] == args.pid]
    if args.json:
        shown = None if row is None else {**row, "running": running}
        show_json({**(shown or {}), "unreported": silent} if silent else shown)
        return 0 if row is not None else 1
    now = time.time()
    for launch in silent[:_SILENT_SHOWN]:
        say(processes.told(launch, now))
    if row is not None:
        show(snapshot(row, running, now))
    elif not silent:
        which = f"process {args.pid}" if args.pid else "process"
        say(f"no {which} recorded in {directory}; start one: autoperf run python run_ui.py")
    return 0 if row is not None else 1
