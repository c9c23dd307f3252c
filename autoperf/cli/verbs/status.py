"""Show what autoperf did, live or in the last process that ended.

Every number was measured in that process; what was not measured is not shown.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from autoperf.cli.views.status import snapshot
from autoperf.cli.views.terminal import show, show_json
from autoperf.errors import say
from autoperf.insight import processes
from autoperf.process.config import Config

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
    process = processes.seen(directory, args.pid)
    silent = processes.unreported(directory, None if process is None else process.record)
    if args.pid is not None:
        silent = [launch for launch in silent if process is None and launch["pid"] == args.pid]
    if args.json:
        shown = None if process is None else process.as_row()
        show_json({**(shown or {}), "unreported": silent} if silent else shown)
        return 0 if process is not None else 1
    if process is None:
        for line in processes.unheard(directory, args.pid):
            say(line)
        return 1
    now = time.time()
    for launch in silent[:_SILENT_SHOWN]:
        say(processes.told(launch, now))
    show(snapshot(process))
    return 0
