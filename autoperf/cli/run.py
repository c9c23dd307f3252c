"""Run a command with autoperf in its environment.

Everything after the name of the command is its own. Same process, signals and exit code.
"""

from __future__ import annotations

import argparse

from autoperf.features import FEATURES


def arguments(parser: argparse.ArgumentParser) -> None:
    """For ``--help`` only: the launcher reads its line itself, to lose no time."""
    parser.usage = "autoperf run [--features LIST] [--observe] [--home DIR] [--quiet] CMD..."
    listed = "; ".join(f"{name}: {meaning}" for name, meaning in FEATURES.items())
    parser.add_argument(
        "--features", metavar="LIST", help=f"which are on, or -NAME to take one away. {listed}"
    )
    parser.add_argument("--observe", action="store_true", help="trace and measure, change nothing else")
    parser.add_argument("--home", metavar="DIR", help="where the local store lies")
    parser.add_argument("--quiet", action="store_true", help="no line of ours on stderr")
    parser.add_argument(
        "command", metavar="CMD", nargs=argparse.REMAINDER, help="the command and its arguments"
    )


def run(args: argparse.Namespace) -> int:
    """Launch; reached only when somebody parsed the line first."""
    from autoperf import launcher

    ours = [
        f"--{name}={value}" for name in ("features", "home") if (value := getattr(args, name)) is not None
    ]
    ours += [f"--{name}" for name in ("observe", "quiet") if getattr(args, name)]
    return launcher.run([*ours, *args.command])
