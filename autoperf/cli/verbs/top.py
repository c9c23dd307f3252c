"""Watch a running process live: chats, tools, CPU, memory, stalls.

Reads what the process records about once a second anyway, from the local store; the process itself is not
asked for anything. On a terminal one screen, q quits; elsewhere one screenful of lines after the other.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Iterator

from autoperf.cli.arguments import directory, home_argument, whole
from autoperf.cli.views.dashboard import frame
from autoperf.cli.views.screen import Ended, Screen, taken
from autoperf.cli.views.sparklines import BLOCKS, PLAIN
from autoperf.cli.views.terminal import can_write, is_terminal, show, width_of
from autoperf.errors import say
from autoperf.insight import processes
from autoperf.insight.live import Follower, View


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[--pid N] [--home DIR] [--interval S] [--once | -n N]``."""
    parser.add_argument("--pid", metavar="N", type=whole, help="this process; default: the newest that runs")
    home_argument(parser)
    parser.add_argument(
        "--interval", metavar="S", type=_seconds, default=2.0, help="seconds between two screens; default 2"
    )
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--once", action="store_true", help="one screen as plain lines")
    often.add_argument("-n", metavar="N", type=whole, help="as many screens, as plain lines")


def run(args: argparse.Namespace) -> int:
    """Show it until q, a signal, or as often as asked for; exit 1 when no process was recorded."""
    home = directory(args.home)
    follower = Follower(home, args.pid)
    view = follower.look()
    if view is None:
        for line in processes.unheard(home, args.pid):
            say(line)
        return 1
    times = 1 if args.once else args.n
    # A dumb terminal has no screen to write over.
    if times is None and is_terminal() and os.environ.get("TERM") != "dumb":
        return _live(follower, view, args.interval)
    _plain(follower, view, args.interval, times)
    return 0


def _plain(follower: Follower, view: View | None, interval: float, times: int | None) -> None:
    marks = BLOCKS if can_write(BLOCKS) else PLAIN
    shown = 0
    while times is None or shown < times:
        if shown:
            show([""])
            time.sleep(interval)
            view = follower.look()
        if view is None:
            return
        show(frame(view, width_of(), None, marks))
        shown += 1


def _live(follower: Follower, view: View | None, interval: float) -> int:
    marks = BLOCKS if can_write(BLOCKS) else PLAIN
    try:
        with taken(sys.stdout) as screen:
            due = time.monotonic() + interval
            while view is not None:
                for key in _keys_until(screen, view, due, marks):
                    if key.lower() == "q":
                        return 0
                view, due = follower.look(), time.monotonic() + interval
    except Ended as ended:
        return 128 + ended.number
    say("the record of that process is gone")
    return 1


def _keys_until(screen: Screen, view: View, due: float, marks: str) -> Iterator[str]:
    """Every key until it is time for the next look; a window of another size is drawn anew at once."""
    drawn = (0, 0)
    while (left := due - time.monotonic()) > 0 or drawn == (0, 0):
        if screen.size != drawn:
            drawn = screen.size
            # The last column stays empty: in it, clearing the rest of the line would take its character.
            screen.show(frame(view, max(20, drawn[0] - 1), drawn[1], marks), bold=1)
        yield from screen.key(left)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (math.isfinite(value) and value >= 0.1):
        raise argparse.ArgumentTypeError(f"{text!a} is no number of seconds from 0.1 up")
    return value
