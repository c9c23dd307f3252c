"""List the traces in the local store, or show one as a waterfall.

A trace is one user message and all that answered it, or a piece of background
work. `autoperf traces show ID` draws one; the beginning of an id is enough.
"""

from __future__ import annotations

import argparse
import itertools
import textwrap
from collections.abc import Callable
from typing import Final

from autoperf.cli.arguments import directory, home_argument, moment, seconds, whole
from autoperf.cli.views import terminal
from autoperf.cli.views import waterfall as bars
from autoperf.cli.views.traces import headline, layer_lines, listed, noted
from autoperf.errors import AutoperfError, say
from autoperf.errors.wording import milliseconds
from autoperf.insight.history import SPANS_READ, History
from autoperf.insight.traces.callbacks import Callbacks, details
from autoperf.insight.traces.critical_path import critical_path
from autoperf.insight.traces.layers import LAYERS, cpu_by_layer, seconds_by_layer
from autoperf.insight.traces.summary import Summary
from autoperf.insight.traces.tree import Tree, build
from autoperf.insight.traces.waterfall import waterfall
from autoperf.telemetry.redaction import homeless

_GLANCE: Final = 60
_WAITED: Final = 4


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[filters] [--home DIR] [--json]``, or ``show [ID] [--all]``."""
    parser.add_argument("--chat", metavar="ID", help="of this chat; the beginning of its id is enough")
    parser.add_argument("--agent", metavar="NAME", help="in which this agent took part, such as A0")
    parser.add_argument("--tool", metavar="NAME", help="in which this tool was used")
    parser.add_argument("--errors", action="store_true", help="in which something failed")
    parser.add_argument("--since", metavar="WHEN", type=moment, help="2h, 3d, or 2025-01-31T08:00")
    parser.add_argument("--longer-than", metavar="TIME", type=seconds, help="1.5 (seconds), 300ms, 2m")
    parser.add_argument("--all", action="store_true", help="with background work in which nothing failed")
    parser.add_argument("--limit", metavar="N", type=whole, default=20, help="at most so many; default 20")
    home_argument(parser)
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    shown = parser.add_subparsers(dest="action", metavar="show").add_parser(
        "show",
        description="Show one trace as a waterfall, its slowest path marked with >.",
        allow_abbrev=False,
    )
    shown.add_argument("id", metavar="ID", nargs="?", help="default: the newest user message")
    shown.add_argument("--all", action="store_true", help="fold nothing, one line for every span")
    home_argument(shown, default=argparse.SUPPRESS)
    shown.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="the spans as JSON")


def run(args: argparse.Namespace) -> int:
    """Print traces, or one; exit 1 when there is none."""
    with History(directory(args.home)) as history:
        return _show(args, history) if args.action == "show" else _list(args, history)


def _list(args: argparse.Namespace, history: History) -> int:
    wanted = _filter(args)
    since = args.since
    young = itertools.takewhile(lambda one: since is None or one.start_ns / 1e9 >= since, history.traces())
    found = list(itertools.islice(filter(wanted, young), args.limit))
    if args.json:
        terminal.show_json([one.as_row() for one in found])
    elif found:
        terminal.show(listed(found, terminal.width_of()))
    else:
        more = "" if args.all else "; --all looks at background work too"
        say(f"no such trace in {homeless(str(history.path))}{more}")
    return 0 if found else 1


def _layers(tree: Tree, width: int) -> list[str]:
    cpu, callbacks = cpu_by_layer(tree), Callbacks()
    callbacks.add(tree.spans())
    lines = layer_lines(seconds_by_layer(tree), width, lambda layer: details(layer, cpu, callbacks))
    waited = critical_path(tree.root).seconds_by_layer(tree)
    shown = sorted(waited.items(), key=lambda item: -item[1])[:_WAITED]
    told = ", ".join(f"{LAYERS[layer]} {milliseconds(seconds * 1e3)}" for layer, seconds in shown)
    return [*lines, *textwrap.wrap(f"the end waited for: {told}", width, subsequent_indent="  ")]


def _filter(args: argparse.Namespace) -> Callable[[Summary], bool]:
    def wanted(one: Summary) -> bool:
        return (
            (args.chat is None or (one.chat or "").startswith(args.chat))
            and (args.agent is None or args.agent.lower() in map(str.lower, one.agents))
            and (args.tool is None or args.tool in one.tools)
            and (args.all or one.errors > 0 or not one.in_background)
            and (not args.errors or one.errors > 0)
            and (args.longer_than is None or one.seconds > args.longer_than)
        )

    return wanted


def _show(args: argparse.Namespace, history: History) -> int:
    summary = history.find(args.id)
    rows = history.spans(summary.trace_id)
    if not rows:
        raise AutoperfError(f"trace {summary.trace_id} has just made room for newer ones")
    if args.json:
        terminal.show_json([row._asdict() for row in rows])
        return 0
    tree = build(rows)
    drawn = waterfall(tree, fit=_GLANCE, limit=SPANS_READ if args.all else 400, whole=args.all)
    blocks = bars.BLOCKS if terminal.can_write(bars.BLOCKS) else bars.PLAIN
    width = terminal.width_of()
    terminal.show([*headline(summary, width), ""])
    colour = terminal.in_colour()
    terminal.show(bars.drawn(drawn, width, blocks, colour=colour), coloured=colour)
    notes = list(drawn.notes)
    if len(rows) < summary.spans:
        missing = f"{summary.spans - len(rows):,}"
        notes.append(
            f"Spans beyond the first {len(rows):,}: {missing}; their time counts as what is around them."
        )
    terminal.show(["", *bars.legend(blocks, width), "", *_layers(tree, width)])
    if notes:
        terminal.show(["", *noted(notes, width)])
    return 0
