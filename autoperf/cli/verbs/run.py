"""Run a command with autoperf in its environment.

Everything after the name of the command is its own. Same process, signals and exit code.
"""

from __future__ import annotations

import argparse

from autoperf.features import FEATURES
from autoperf.process.launcher import USAGE
from autoperf.process.options import DETAILS


def arguments(parser: argparse.ArgumentParser) -> None:
    """For ``--help`` only: the launcher reads its line itself, to lose no time."""
    parser.usage = USAGE
    listed = "; ".join(f"{name}: {meaning}" for name, meaning in FEATURES.items())
    parser.add_argument(
        "--features", metavar="LIST", help=f"which are on, or -NAME to take one away. {listed}"
    )
    parser.add_argument("--observe", action="store_true", help="trace and measure, change nothing else")
    parser.add_argument("--detail", choices=DETAILS, help="how much of a turn becomes spans; default: step")
    parser.add_argument("--home", metavar="DIR", help="where the local store lies")
    parser.add_argument("--quiet", action="store_true", help="no line of ours on stderr")
    parser.add_argument(
        "command", metavar="CMD", nargs=argparse.REMAINDER, help="the command and its arguments"
    )


def run(args: argparse.Namespace) -> int:
    """Launch; reached only when somebody parsed the line first."""
    from autoperf.process import launcher

    valued = {name: getattr(args, name) for name in ("features", "home", "detail")}
    ours = [f"--{name}={value}" for name, value in valued.items() if value is not None]
    ours += [f"--{name}" for name in ("observe", "quiet") if getattr(args, name)]
    return launcher.run([*ours, *args.command])
