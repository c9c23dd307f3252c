"""Recommend what to change, from what was measured.

Each piece of advice has its evidence, what to expect of it, and the exact setting or command. Without
enough data, and for what has been followed already, there is none.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from autoperf.cli.arguments import directory, home_argument, whole
from autoperf.cli.views.terminal import show, show_json
from autoperf.errors import say
from autoperf.insight import processes
from autoperf.insight.advice.collect import recommendations_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[--pid N] [--home DIR] [--json]``."""
    parser.add_argument("--pid", metavar="N", type=whole, help="this process; default: the newest that runs")
    home_argument(parser)
    parser.add_argument("--json", action="store_true", help="the same as a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print the advice; exit 1 when no process was recorded."""
    home = directory(args.home)
    process = processes.seen(home, args.pid)
    found = [] if process is None else recommendations_of(home, process)
    if args.json:
        show_json([asdict(advice) for advice in found])
    elif process is None:
        for line in processes.unheard(home, args.pid):
            say(line)
    else:
        show([process.heading, ""])
        if not found:
            show(["Nothing to recommend, by what was measured so far."])
        for advice in found:
            show([f"[{advice.weight}] {advice.title}", f"  measured   {advice.evidence}"])
            show([f"  expect     {advice.gain}", f"  do         {advice.action}", ""])
    return 0 if process is not None else 1
