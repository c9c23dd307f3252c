"""The command line as a table: one verb, one module of the same name, imported when it is typed."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import sys
from importlib import import_module
from typing import NoReturn, Protocol, cast

from autoperf import __version__
from autoperf.errors import AutoperfError, say
from autoperf.process.launcher import LaunchError

# In the order in which people need them.
VERBS = (
    "run", "status", "top", "traces", "report", "history", "compare", "export", "advise", "doctor",
    "benchmark", "bootstrap", "install", "uninstall",
)  # fmt: skip
_EXAMPLES = """\
examples:
  autoperf run python run_ui.py        run Agent Zero with everything on
  autoperf status                      what that did, in measured numbers
"""


class Command(Protocol):
    """A verb's module: its docstring is the help, ``arguments`` declares, ``run`` returns the exit code."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code; raise `AutoperfError` for a person."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        say(f"{message}; see {self.prog} --help")
        sys.exit(2)


def main(arguments: list[str]) -> int:
    """Run one command line, without the program's name; 0: done, 1: a problem, 2: the line makes no sense."""
    _show_every_character()
    try:
        code = _dispatch(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (AutoperfError, LaunchError) as error:
        say(str(error))
        return 1
    except BrokenPipeError:
        _let_go()
        return 1
    except OSError as error:
        say(f"{error.filename or 'output'}: {(error.strerror or str(error)).lower()}")
        _let_go()
        return 1
    except KeyboardInterrupt:
        return 130


def _show_every_character() -> None:
    """What the encoding of stdout lacks, in a chat's or a tool's name, is escaped: no reason to end."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _let_go() -> None:
    """Whoever read stdout has gone, or it is full; Python's own flush at exit must not complain once more."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def command(verb: str) -> Command:
    """The module of ``verb``, one of `VERBS`."""
    return cast(Command, import_module(f"autoperf.cli.verbs.{verb}"))


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb."""
    module = command(verb)
    parser = _Parser(
        prog=f"autoperf {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.arguments(parser)
    return parser


def help_text() -> str:
    """The one screen of ``autoperf --help``."""
    lines = [
        "usage: autoperf VERB [options]",
        "Makes Agent Zero observable and faster, with no change to its code. Verbs:",
        "",
    ]
    for verb in VERBS:
        summary = (command(verb).__doc__ or "").strip().split("\n")[0]
        lines.append(f"  {verb:<11}{summary[:1].lower()}{summary[1:].rstrip('.')}")
    lines += ["", "  -h, --help, --version; autoperf VERB --help tells more", "", _EXAMPLES.rstrip()]
    lines.append("AUTOPERF_DISABLED=1 switches everything off; `doctor` shows every option.")
    return "\n".join(lines)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    verb = arguments[0]
    if verb in ("-V", "--version"):
        print(f"autoperf {__version__}")
        return 0
    if verb not in VERBS:
        say(_unknown(verb, arguments[1:]))
        return 2
    try:
        args = parser_of(verb).parse_args(arguments[1:])
    except SystemExit as done:
        return int(done.code or 0)
    return command(verb).run(args)


def _unknown(verb: str, rest: list[str]) -> str:
    if verb.startswith("-"):
        return f"no option {verb} before the verb; see autoperf --help"
    close = difflib.get_close_matches(verb, VERBS, n=1)
    if close:
        return f"no verb {verb!r}; did you mean `autoperf {' '.join([close[0], *rest])}`?"
    if verb.endswith(".py") or verb.startswith("python"):
        return f"no verb {verb!r}; did you mean `autoperf run {' '.join([verb, *rest])}`?"
    return f"no verb {verb!r}; there are {', '.join(VERBS)}"
