"""The way in for ``autoperf`` and ``python -m autoperf``; ``run`` goes straight to the launcher."""

from __future__ import annotations

import sys


def main() -> int:
    """Run one command line from ``sys.argv`` and return the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"] and arguments[1:2] not in (["-h"], ["--help"]):
        from autoperf.process.launcher import run

        return run(arguments[1:])
    from autoperf.cli import main as command_line

    return command_line(arguments)


if __name__ == "__main__":
    sys.exit(main())
