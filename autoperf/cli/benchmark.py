"""Measure on a checkout what autoperf changes: transcript and time.

Holds a scripted conversation of two messages with 20 tool calls each, bare and under autoperf, in fresh
processes against a model server on loopback, and compares everything sent, said and stored; then times
single seams and the launcher. Every ratio is bare / autoperf, measured in this run. The checkout is copied.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

PARTS = ("conversation", "seams", "tracing", "launcher")


def arguments(parser: argparse.ArgumentParser) -> None:
    """``PATH``, and what to measure how."""
    parser.add_argument("path", nargs="?", type=Path, help="an Agent Zero checkout; without it: the launcher")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; can be repeated")
    parser.add_argument("--python", help="the checkout's interpreter; default: its .venv, else this one")
    parser.add_argument("--features", default="all", help="as for `autoperf run`")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds for seams and tracing")
    parser.add_argument("--provider", default="other", help="model provider (v2.6: openai means Responses)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Exit code 0: transcripts equal (or not asked for), 1: different, or the checkout could not be run."""
    from autoperf.benchmark.process import HostError

    parts = args.only or list(PARTS)
    if args.path is None:
        parts = [part for part in parts if part == "launcher"]
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="autoperf-benchmark-") as folder:
        try:
            for part in parts:
                report[part] = globals()[f"_{part}"](args, Path(folder) / part)
        except (HostError, FileNotFoundError) as error:
            print(f"autoperf: {error}", file=sys.stderr)
            return 1
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n\n".join("\n".join(_lines(part, report[part])) for part in report))
    return 1 if report.get("conversation", {}).get("differences") else 0


def _conversation(args: argparse.Namespace, workdir: Path) -> dict[str, Any]:
    from autoperf.benchmark import instrumented
    from autoperf.benchmark.conversation import tools

    _progress(args, "conversation, bare and under autoperf")
    workdir.mkdir()
    effect = instrumented.measure(
        args.path.resolve(),
        tools(20, 2),
        workdir,
        python=args.python,
        features=args.features,
        provider=args.provider,
    )
    first, second = effect.comparison.first, effect.comparison.second
    start = _pair(first.start_wall, second.start_wall, first.start_cpu, second.start_cpu)
    rows = [{"what": "start", **start}]
    for number, (bare, ours) in enumerate(zip(first.turns, second.turns, strict=True), 1):
        rows.append({"what": f"message {number}", **_pair(bare.wall, ours.wall, bare.cpu, ours.cpu)})
    return {
        "differences": effect.comparison.differences,
        "patches": f"{effect.patches_applied} of {effect.patches_wanted}",
        "hit_rates_last_message": effect.hit_rates,
        "failures": effect.failures,
        "seconds": rows,
    }


def _pair(wall: float, our_wall: float, cpu: float | None, our_cpu: float | None) -> dict[str, Any]:
    return {
        "bare_wall": wall,
        "autoperf_wall": our_wall,
        "bare_cpu": cpu,
        "autoperf_cpu": our_cpu,
        "cpu_ratio": cpu / our_cpu if cpu and our_cpu else None,
    }


def _seams(args: argparse.Namespace, workdir: Path) -> dict[str, Any]:
    from autoperf.benchmark import instrumented, seams

    workdir.mkdir()
    words = instrumented.prefix(args.path.resolve(), workdir, args.python, features=args.features)
    times = seams.measure(
        args.path.resolve(),
        workdir,
        [*words[:2], "--quiet", *words[2:]],
        rounds=args.rounds,
        python=args.python,
        progress=lambda line: _progress(args, line),
    )
    return {
        name: {"bare_ns": seam.bare, "autoperf_ns": seam.autoperf, "ratio": seam.ratio}
        for name, seam in times.items()
    }


def _tracing(args: argparse.Namespace, workdir: Path) -> dict[str, Any]:
    from autoperf.benchmark import instrumented, tracing

    workdir.mkdir()
    checkout = args.path.resolve()
    cost = tracing.measure(
        checkout,
        workdir,
        instrumented.prefix(checkout, workdir, args.python),
        workdir / "state",
        pairs=2 * args.rounds,
        python=args.python,
        provider=args.provider,
        progress=lambda line: _progress(args, line),
    )
    return {
        "without": list(cost.without),
        "traced": list(cost.traced),
        "cpu_added": cost.median(0),
        "cpu_added_each": cost.added(0),
        "wall_added": cost.median(1),
    }


def _launcher(args: argparse.Namespace, _workdir: Path) -> dict[str, Any]:
    from autoperf.benchmark import launching

    _progress(args, f"launcher, {launching.ROUNDS} rounds")
    times, bystander = launching.measure(launching.ROUNDS), launching.measure_bystander(launching.ROUNDS)
    return {
        "bystander": bystander,
        "rounds": launching.ROUNDS,
        **{f"{name}_ms": value for name, value in times.items()},
        "added_ms": times["autoperf"] - times["plain"],
        "ratio_to_python": times["autoperf"] / times["python"],
    }


def _progress(args: argparse.Namespace, line: str) -> None:
    if not args.json:
        print(f"... {line}", file=sys.stderr, flush=True)


def _lines(part: str, data: dict[str, Any]) -> list[str]:
    if part == "launcher":
        beside = data["bystander"]
        return [
            f"launcher, median of {data['rounds']} alternating runs",
            f"  plain exec {data['plain_ms']:.1f} ms, Python that execs {data['python_ms']:.1f} ms, "
            f"autoperf run {data['autoperf_ms']:.1f} ms",
            f"  added {data['added_ms']:.1f} ms; {data['ratio_to_python']:.2f} x a Python that execs",
            f"a Python that is not the host: {beside['bare']:.1f} ms, with the bootstrap "
            f"{beside['bootstrap']:.1f} ms; peak memory {beside['bare_kib']:.0f} and "
            f"{beside['bootstrap_kib']:.0f} KiB",
        ]
    if part == "tracing":
        all_pairs = ", ".join(f"{added:+.1%}" for added in data["cpu_added_each"])
        return [
            f"a message of 20 tools and a 20 KB answer: tracing adds {data['cpu_added']:+.1%} CPU and "
            f"{data['wall_added']:+.1%} wall time",
            f"  median of {len(data['traced'])} pairs in one process; CPU of each: {all_pairs}",
        ]
    if part == "seams":
        lines = [f"{'CPU us a call':<32}{'bare':>10}{'autoperf':>10}{'ratio':>8}   rounds' ratios"]
        for name, seam in data.items():
            each = [b / a for b, a in zip(seam["bare_ns"], seam["autoperf_ns"], strict=True)]
            bare, ours = (sorted(seam[k])[len(seam[k]) // 2] / 1000 for k in ("bare_ns", "autoperf_ns"))
            spread = ", ".join(f"{ratio:.2f}" for ratio in each)
            lines.append(f"{name:<32}{bare:>10.2f}{ours:>10.2f}{seam['ratio']:>8.2f}   {spread}")
        return lines
    equal = "transcripts differ:" if data["differences"] else "transcripts equal"
    rates = ", ".join(
        f"{name} {'-' if rate is None else format(rate, '.1%')}"
        for name, rate in data["hit_rates_last_message"].items()
    )
    lines = [equal, *data["differences"], f"{data['patches']} patches; hits in the last message: {rates}"]
    columns = ("bare wall", "autoperf", "bare CPU", "autoperf", "CPU ratio")
    lines.append(f"{'seconds':<12}" + "".join(f"{column:>11}" for column in columns))
    keys = ("bare_wall", "autoperf_wall", "bare_cpu", "autoperf_cpu", "cpu_ratio")
    for row in data["seconds"]:
        numbers = ("-" if row[key] is None else format(row[key], ".2f") for key in keys)
        lines.append(f"{row['what']:<12}" + "".join(f"{number:>11}" for number in numbers))
    return [*lines, *(f"failure of ours: {row}" for row in data["failures"])]
