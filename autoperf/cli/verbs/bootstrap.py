"""Print the folder for PYTHONPATH, or write a self-contained one.

PYTHONPATH="$(autoperf bootstrap)" python run_ui.py   does what `autoperf run` does.
The folder of --copy needs nothing installed: mount it into a container and set PYTHONPATH to it. It sends
OTLP over HTTP; gRPC is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autoperf.errors import AutoperfError, say


def arguments(parser: argparse.ArgumentParser) -> None:
    """``--copy DIR [--python X.Y]``."""
    parser.add_argument("--copy", metavar="DIR", type=Path, help="write a self-contained bootstrap into DIR")
    parser.add_argument("--python", metavar="X.Y", help="the version that will run it; default: this one")


def run(args: argparse.Namespace) -> int:
    """Print the folder, alone on stdout so that a shell can take it."""
    from autoperf.process.launcher import path_entry

    if args.copy is None:
        if args.python is not None:
            raise AutoperfError("--python goes with --copy DIR")
        print(path_entry())
        return 0
    from autoperf.process.installation.bundle import copy

    names = copy(args.copy, args.python)
    version = args.python or "{}.{}".format(*sys.version_info)
    say(f"for Python {version}: autoperf with {', '.join(names)}")
    print(args.copy.absolute())
    return 0
