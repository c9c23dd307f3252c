"""Measure on a checkout what autoperf changes: transcript and time.

Runs scripted conversations bare and under autoperf, alternating, in fresh processes against a model server on
loopback, and compares everything sent, said and stored. Without PATH it takes the mini agent of the examples.
Every ratio is bare / autoperf, of two runs next to each other. The checkout is copied, never written to.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoperf.cli.views.terminal import show, show_json
from autoperf.errors import AutoperfError, say
from autoperf.errors.wording import printable
from autoperf.features import parse_features
from autoperf.process.installation.interpreter import absolute

if TYPE_CHECKING:
    from autoperf.benchmark.measure.progress import Progress

PARTS = ("conversation", "seams", "tracing", "monitor", "launcher")
PROVIDERS = ("other", "openai", "both")
FAKE = "fake"


def arguments(parser: argparse.ArgumentParser) -> None:
    """``PATH``, and what to measure how."""
    from autoperf.benchmark.host.process import START_TIMEOUT
    from autoperf.benchmark.scenarios.scenario import DEFAULT, SCENARIOS

    meanings = "; ".join(f"{name}: {scenario.meaning}" for name, scenario in SCENARIOS.items())
    parser.add_argument(
        "path", nargs="?", type=Path, help="an Agent Zero checkout; without it: the mini agent"
    )
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        action="append",
        help=f"can be repeated; default: {', '.join(DEFAULT)}. " + meanings,
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="a part in place of scenarios, repeatable"
    )
    parser.add_argument("--rounds", type=_positive, default=5, help="alternating rounds (%(default)s)")
    parser.add_argument(
        "--features",
        type=_features,
        action="append",
        metavar="LIST",
        help="as for `autoperf run` (all); repeated: each of the lists, in one run",
    )
    parser.add_argument("--feature-matrix", action="store_true", help="each feature alone, and all of them")
    parser.add_argument(
        "--provider", choices=PROVIDERS, default="other", help="openai means the Responses API in v2.6"
    )
    parser.add_argument(
        "--model",
        choices=("server", FAKE),
        default="server",
        help="fake: replies are made inside the host, without its model client, bare and instrumented alike",
    )
    parser.add_argument(
        "--git", action="store_true", help="make the copy a git checkout, as installations are"
    )
    parser.add_argument(
        "--rate",
        type=_above_zero("tokens a second"),
        metavar="N",
        help="the model says N tokens of 4 characters a second; default: all at once",
    )
    parser.add_argument("--python", help="the checkout's interpreter; default: its .venv, else this one")
    parser.add_argument(
        "--start-timeout",
        type=_above_zero("seconds"),
        default=START_TIMEOUT,
        metavar="S",
        help="seconds that the host has to open its port (60)",
    )
    parser.add_argument("--plot", type=_svg, metavar="FILE.svg", help="draw the ratios of the scenarios")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Exit code 0: transcripts equal (or not asked for), 1: different, or the host did not do as scripted."""
    from autoperf.benchmark.host.process import HostError
    from autoperf.benchmark.measure.progress import Progress

    names, parts = _planned(args)
    report: dict[str, Any] = {}
    failed = ""
    with tempfile.TemporaryDirectory(prefix="autoperf-benchmark-") as folder, Progress(_tell) as progress:
        try:
            _measure(report, args, names, parts, Path(folder), progress)
        except (HostError, FileNotFoundError) as error:
            failed = str(error)
    # What an hour of measuring has given is not thrown away.
    if not failed or any(report.values()):
        _show(report, args)
    for line in failed.splitlines():
        say(line)
    return 1 if failed or _different(report) else 0


def _show(report: dict[str, Any], args: argparse.Namespace) -> None:
    if args.plot and report.get("scenarios"):
        from autoperf.benchmark.picture import draw

        args.plot.write_text(draw(report["scenarios"], noisy=report["noise"]["noisy"]), encoding="utf-8")
    if args.json:
        show_json(report)
    else:
        from autoperf.cli.views.measurements import lines

        show(lines(report))


def _planned(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    from autoperf.benchmark.scenarios.scenario import DEFAULT, START

    names, parts = list(dict.fromkeys(args.scenario or [])), list(dict.fromkeys(args.only or []))
    if not names and (not parts or args.feature_matrix):
        names = [name for name in DEFAULT if args.path is not None or name != START]
        parts = parts if args.path is not None or parts else ["launcher"]
    if args.path is None and (missing := {*names, *parts} - {"short", "launcher"}):
        raise AutoperfError(f"{', '.join(sorted(missing))}: the mini agent has only short; name a checkout")
    if args.model == FAKE and (args.path is None or args.provider != "other"):
        raise AutoperfError("--model fake takes a checkout and --provider other")
    if args.feature_matrix and args.features:
        raise AutoperfError("--feature-matrix takes every feature alone; leave --features out")
    if args.plot and not names:
        raise AutoperfError("--plot draws scenarios; name one with --scenario")
    if args.python is not None:
        if args.path is None:
            raise AutoperfError("--python names the interpreter of a checkout; name that too")
        args.python = absolute(args.python)
    if args.plot and not args.plot.resolve().parent.is_dir():
        raise AutoperfError(f"--plot: there is no folder {args.plot.resolve().parent}")
    return names, parts


def _measure(
    report: dict[str, Any],
    args: argparse.Namespace,
    names: list[str],
    parts: list[str],
    folder: Path,
    progress: Progress,
) -> None:
    from autoperf.benchmark.host import mini
    from autoperf.benchmark.host.checkout import describe
    from autoperf.benchmark.measure import rounds
    from autoperf.benchmark.parts.benchmark import Benchmark

    if args.path is not None:
        describe(args.path.resolve())
    elif names and mini.folder() is None:
        if args.scenario:
            raise AutoperfError(mini.MISSING)
        progress(f"{mini.MISSING}; measured is the launcher")
        names = []
    features = args.features or ["all"]
    benchmark = Benchmark(
        args.path,
        folder,
        progress,
        args.python,
        features[0],
        args.rounds,
        args.provider,
        args.git,
        args.model == FAKE,
        args.rate,
        args.start_timeout,
    )
    if names:
        variants = rounds.matrix() if args.feature_matrix else rounds.compared(features)
        report["scenarios"] = []
        for name in names:
            report["scenarios"] += benchmark.scenarios([name], variants)
            report["noise"] = benchmark.noise.as_row()
    for part in parts:
        report[part] = getattr(benchmark, part)()


def _different(report: dict[str, Any]) -> bool:
    compared = [*report.get("scenarios", []), report.get("conversation", {})]
    return any(one.get("differences") for one in compared)


def _tell(line: str) -> None:
    print(f"... {printable(line)}", file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _above_zero(what: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is no number of {what}")
        return number

    return parse


def _svg(text: str) -> Path:
    if not text.lower().endswith(".svg"):
        raise argparse.ArgumentTypeError(f"{text!r}: the picture is SVG, so name a file that ends in .svg")
    return Path(text)


def _features(text: str) -> str:
    try:
        parse_features(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
