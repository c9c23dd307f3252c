"""Tell where the time went in the last traces, as text or as one page.

The page (--html FILE) needs no network and no server. Before/after:
--baseline DIR compares with the traces of another --home. Without it, traces
recorded by processes under `autoperf run --observe` are the "before", those of
processes with more switched on the "after". Percentiles of each kind of span
are compared, with counts: only runs that did the same can be compared.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autoperf.cli.arguments import directory, home_argument, whole, written
from autoperf.cli.views import terminal
from autoperf.cli.views.traces import report_lines
from autoperf.errors import say
from autoperf.insight.report.collect import collect


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[--html FILE] [--last N] [--baseline DIR] [--home DIR] [--json]``."""
    parser.add_argument("--html", metavar="FILE", help="write one self-contained page; - for stdout")
    parser.add_argument(
        "--last",
        metavar="N",
        type=whole,
        default=50,
        help="the last N messages, and as many other traces; default 50",
    )
    parser.add_argument("--baseline", metavar="DIR", type=Path, help="another state directory: the before")
    home_argument(parser)
    parser.add_argument("--json", action="store_true", help="the numbers as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write the page, or print the report; exit 1 when there is no trace."""
    report = collect(directory(args.home), args.last, args.baseline and args.baseline.absolute())
    if args.html is not None:
        from autoperf.insight.report.html import page

        written(args.html, page(report))
        if args.html != "-":
            say(f"{args.html}: {len(report.traces):,} traces; open it in a browser")
    if args.json:
        terminal.show_json(report.as_row())
    elif args.html is None:
        terminal.show(report_lines(report, terminal.width_of()))
    return 0
