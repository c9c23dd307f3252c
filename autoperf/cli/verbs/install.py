"""Put autoperf into one interpreter for good, for images and services.

Writes a .pth line (and for Python 3.15 and later a .start file) into its site-packages; every program of
that interpreter then has what `autoperf run` gives. AUTOPERF_DISABLED=1 switches it off.
"""

from __future__ import annotations

import argparse

from autoperf.cli.views.terminal import show
from autoperf.errors import say
from autoperf.process.installation.interpreter import alone, how_to_install, probe, this_python


def arguments(parser: argparse.ArgumentParser) -> None:
    """``--python PATH``."""
    parser.add_argument(
        "--python", metavar="PATH", default=this_python(), help="that interpreter; default: this one"
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and say which; nothing is written, exit 1, when autoperf itself is missing there."""
    from autoperf.process import bootstrap
    from autoperf.process.installation import install

    python = probe(args.python, alone())
    lacking = how_to_install(python)
    if lacking is not None:
        say(lacking)
        return 1
    written, kept = install.install(python)
    show([*(f"wrote {path}" for path in written), *(f"already there: {path}" for path in kept)])
    # Started once more: it must find us, and leaves the bytecode that a service may not write itself.
    environ = {name: value for name, value in alone().items() if name != "PYTHONDONTWRITEBYTECODE"}
    if not bootstrap.switched_off() and not probe(args.python, environ).reached:
        say(f"{python.executable} does not read {python.site_packages} when it starts")
        return 1
    return 0
