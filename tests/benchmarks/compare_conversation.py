"""Command line: one checkout, one conversation, bare beside bare or beside a command prefix."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

from autoperf.benchmark.host.process import START_TIMEOUT, HostError
from autoperf.benchmark.measure.progress import Progress
from autoperf.benchmark.parts.comparison import compare, table
from autoperf.benchmark.scenarios.conversation import Conversation, tools
from autoperf.errors import AutoperfError
from autoperf.process.installation.interpreter import absolute
from tests.benchmarks.conversations.changes import CHANGES
from tests.benchmarks.conversations.situations import CONVERSATIONS, SITUATIONS

_ALL = {**CONVERSATIONS, **SITUATIONS, **CHANGES}


def main(argv: list[str] | None = None) -> int:
    """Hold one scripted conversation twice with a real Agent Zero and compare everything it said and stored.

    Exit status: 0 transcripts equal, 1 different, 2 the host could not be run or did not do as scripted.
    """
    options = _parser().parse_args(argv)
    prefix = shlex.split(options.prefix)
    with tempfile.TemporaryDirectory(prefix="autoperf-benchmark-") as folder, Progress(_tell) as progress:
        progress(f"{options.conversation}, twice")
        try:
            python = absolute(options.python) if options.python else None
            result = compare(
                options.checkout.resolve(),
                _conversation(options),
                Path(folder),
                prefix,
                python=python,
                provider=options.provider,
                chunk_size=options.chunk,
                start_timeout=options.start_timeout,
                stage=progress.stage,
            )
        except (AutoperfError, FileNotFoundError, HostError) as error:
            print(f"autoperf benchmark: {error}", file=sys.stderr)
            return 2
    print("\n".join(table(result, ("bare", "prefix" if prefix else "bare"))))
    print(f"starts that hung: {len(result.first.hung)}, {len(result.second.hung)}")
    for stacks in (*result.first.hung, *result.second.hung):
        print(stacks, file=sys.stderr)
    for attempt in (*result.first.refused, *result.second.refused):
        print(f"refused to the host: {attempt}")
    print(
        "\n".join(["transcripts differ:", *result.differences]) if result.differences else "transcripts equal"
    )
    return 0 if result.equal else 1


def _tell(line: str) -> None:
    print(f"... {line}", file=sys.stderr, flush=True)


def _conversation(options: argparse.Namespace) -> Conversation:
    if options.conversation == "tools":
        return tools(options.tools, options.rounds, options.length)
    return _ALL[options.conversation]()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.compare_conversation", description=main.__doc__
    )
    parser.add_argument("checkout", type=Path, help="an Agent Zero checkout; it is copied, never written to")
    parser.add_argument("--prefix", default="", help='command before the interpreter, such as "autoperf run"')
    parser.add_argument("--conversation", choices=sorted(_ALL), default="tools")
    parser.add_argument("--tools", type=int, default=20, help="tool calls per message")
    parser.add_argument("--rounds", type=int, default=2, help="messages")
    parser.add_argument("--length", type=int, default=0, help="characters of each final answer, at least")
    parser.add_argument("--chunk", type=int, default=24, help="characters per streamed event")
    parser.add_argument(
        "--start-timeout",
        type=float,
        default=START_TIMEOUT,
        help="seconds that the host has to open its port",
    )
    parser.add_argument("--python", help="interpreter when the checkout has no .venv")
    parser.add_argument(
        "--provider", default="other", help="model provider to configure (v2.6: openai = Responses)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
