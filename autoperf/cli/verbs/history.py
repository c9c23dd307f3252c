"""Show what was measured by run, day, hour or version.

Of each: messages with their median and 95th percentile, failures, tool and model calls, tokens as the
provider counted them, CPU, memory, stalls of event loops and the caches' hit rate. `--of tools` and the
like list what is inside, `--tool` and `--model` one of them. `autoperf compare` tells what is chance.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from autoperf.cli.arguments import directory, home_argument, moment, whole
from autoperf.cli.views import terminal
from autoperf.cli.views.comparison import period_lines, thing_lines
from autoperf.errors import AutoperfError, say
from autoperf.insight.compare.collect import Selection, periods, runs
from autoperf.insight.compare.periods import Period
from autoperf.telemetry import names
from autoperf.telemetry.redaction import homeless

_OF: Final = {
    "messages": names.MESSAGE,
    "agents": names.INVOKE_AGENT,
    "steps": names.STEP,
    "models": names.CHAT,
    "tools": names.EXECUTE_TOOL,
}
_BY: Final = ("run", "day", "hour", "version")
_RUNS: Final = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[--by ...] [--of ... | --tool NAME | --model NAME] [--since WHEN] [--until WHEN] [--last N]``."""
    parser.add_argument("--by", choices=_BY, default="run", help="what one line stands for; default: run")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--of", choices=tuple(_OF), help="list these, by name, instead of one line a period")
    shown.add_argument("--tool", metavar="NAME", help="list this tool alone")
    shown.add_argument("--model", metavar="NAME", help="list this model alone")
    parser.add_argument(
        "--since", metavar="WHEN", type=moment, default=0.0, help="2h, 3d, or 2026-01-31T08:00"
    )
    parser.add_argument(
        "--until", metavar="WHEN", type=moment, default=float("inf"), help="the same; default: now"
    )
    parser.add_argument(
        "--last",
        metavar="N",
        type=whole,
        default=20,
        help="the last N periods with any measurement",
    )
    home_argument(parser)
    parser.add_argument("--json", action="store_true", help="the same as a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print the periods, oldest first; exit 1 when nothing was measured."""
    home = directory(args.home)
    name = args.tool or args.model
    of = "tools" if args.tool else "models" if args.model else args.of
    if args.since >= args.until:
        raise AutoperfError("--until is not after --since: nothing lies between")
    chosen = _selections(home, args.by, args.since, args.until)
    made = [one for one in periods(home, chosen) if one.spans or one.samples] if chosen else []
    if name:
        made = [one for one in made if any(row.key.name == name for row in one.figures(_OF[of]))]
    made = sorted(made, key=lambda one: one.first or 0.0)[-args.last :]
    if args.json:
        terminal.show_json([_row(one, of, name) for one in made])
    elif not made:
        what = f"of {name}" if name else "then"
        say(f"nothing was measured {what} in {homeless(str(home))}; see autoperf history --by run")
    elif of:
        terminal.show(thing_lines(made, _OF[of], terminal.width_of(), name))
    else:
        terminal.show(period_lines(made, terminal.width_of()))
    return 0 if made else 1


def _selections(home: Path, by: str, since: float, until: float) -> list[Selection]:
    recorded = runs(home, _RUNS)
    if by == "run":
        return [replace(one, since=since, until=until) for one in recorded]
    if by == "version":
        return [Selection(name, since, until, version=name) for name in _versions(recorded)]
    return _stretches(by, since, until, [one.started or 0.0 for one in recorded])


def _versions(recorded: list[Selection]) -> list[str]:
    return list(dict.fromkeys(one.version for one in recorded if one.version is not None))


def _stretches(by: str, since: float, until: float, starts: list[float]) -> list[Selection]:
    """Every day or hour, by the clocks here, from ``since`` or the first run to ``until`` or now."""
    first = max(since, min(starts, default=time.time()))
    at = datetime.fromtimestamp(first).replace(minute=0, second=0, microsecond=0)
    at = at.replace(hour=0) if by == "day" else at
    step = timedelta(days=1) if by == "day" else timedelta(hours=1)
    shape = "%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:00"
    found = []
    while at.timestamp() < min(until, time.time()):
        begins, at = at, at + step
        ends = min(until, at.timestamp())
        found.append(Selection(begins.strftime(shape), max(since, begins.timestamp()), ends))
    return found


def _row(one: Period, of: str | None, name: str | None) -> dict[str, Any]:
    return {
        "period": one.label,
        "first": one.first,
        "last": one.last,
        "spans": one.spans,
        "samples": one.samples,
        "stalls": one.stalls,
        "hits": one.hits,
        "lookups": one.lookups,
        "messages": one.tally.messages,
        "tool_calls": one.tally.tool_calls,
        "model_calls": one.tally.model_calls,
        "tokens": asdict(one.tally.tokens),
        "figures": [
            row.as_row() for row in one.figures(*([_OF[of]] if of else [])) if name in (None, row.key.name)
        ],
    }
