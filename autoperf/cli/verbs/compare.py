"""Compare two periods, versions or runs, and tell what is chance.

Durations, tokens, CPU, memory and event-loop lag are compared by a rank test, the slowest twentieth of
the durations and error rates by Fisher's exact test, corrected for how many things were compared; below
8 measurements on either side nothing is claimed. Samples and calls that resemble those just before them,
as on a machine that is busy for a while, count for less than their number; CPU, memory and lag need 8
that stand alone: hours rather than minutes.
Only what did the same work can be compared. Without A and B: the last two runs with a message in them.
"""

from __future__ import annotations

import argparse

from autoperf.cli.arguments import directory, home_argument
from autoperf.cli.periods import EXPLAINED, selection
from autoperf.cli.views import terminal
from autoperf.cli.views.comparison import comparison_lines
from autoperf.errors import AutoperfError
from autoperf.insight.compare.collect import compare, last_two
from autoperf.insight.compare.differences import WORSE


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[A B] [--all] [--fail-on-regression] [--home DIR] [--json]``."""
    parser.epilog = EXPLAINED
    parser.add_argument("before", metavar="A", type=selection, nargs="?", help="the period before")
    parser.add_argument("after", metavar="B", type=selection, nargs="?", help="the period after")
    parser.add_argument("--all", action="store_true", help="also what did not change")
    parser.add_argument("--fail-on-regression", action="store_true", help="exit 3 when something got worse")
    home_argument(parser)
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; 0, or 3 for a regression where that was asked for."""
    home = directory(args.home)
    if (args.before is None) != (args.after is None):
        raise AutoperfError("name two periods, or none for the last two runs; see autoperf compare --help")
    before, after = last_two(home) if args.before is None else (args.before, args.after)
    found = compare(home, before, after)
    if args.json:
        terminal.show_json(
            {
                "before": found.before.label,
                "after": found.after.label,
                "differences": [row.as_row() for row in found.differences],
            }
        )
    else:
        terminal.show(comparison_lines(found, terminal.width_of(), everything=args.all))
    worse = any(row.verdict == WORSE for row in found.differences)
    return 3 if worse and args.fail_on_regression else 0
