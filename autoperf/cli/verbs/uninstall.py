"""Take away what `autoperf install` wrote, and nothing else."""

from __future__ import annotations

import argparse

from autoperf.cli.views.terminal import show
from autoperf.process.installation.interpreter import alone, probe, this_python


def arguments(parser: argparse.ArgumentParser) -> None:
    """``--python PATH``."""
    parser.add_argument(
        "--python", metavar="PATH", default=this_python(), help="that interpreter; default: this one"
    )


def run(args: argparse.Namespace) -> int:
    """Remove the files and name them."""
    from autoperf.process.installation import install

    python = probe(args.python, alone())
    removed = install.uninstall(python)
    lines = [f"removed {path}" for path in removed]
    show(lines or [f"nothing of autoperf in {python.site_packages}"])
    return 0
