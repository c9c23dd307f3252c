"""Single-fault injection: does the host go on as without autoperf when one function of autoperf fails?

    python tests/judges/faults.py [options] -- COMMAND...

COMMAND is a run of a host; ``{out}`` in it stands for the file where it writes its transcript (without it,
stdout is compared). It is run bare, then under ``autoperf run`` to list the functions of autoperf that it
reaches, then once for each of them with one exception raised at its start. A run survives when its exit code
and its transcript are those of the bare run (else: HIT), and ``autoperf status --json`` names the failure
and counts it once (else: UNTOLD). COMMAND needs Python 3.12 or newer, and this an interpreter that has
autoperf.

    faults.py --edge -- python examples/mini_agent/run_ui.py --tools 8 --transcript {out}
    faults.py --sample 60 -- python tests/hosts/drive.py tests/hosts/v2 {out} NAME...
    faults.py --probability 0.01 --runs 100 -- ...   (many faults in each run; what is told is not judged)

Only functions called by functions of autoperf count (a wrapper itself has nobody of ours above it; --edge
adds them), not those that run while a module of autoperf is imported. The files of --exempt are left alone:
it is their work to hold what fails. What `status` tells is judged with RuntimeError only: others (--kind any
draws one) may be what the code around takes for an answer of the system, such as a file that is not there.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.judges.outcomes import Host, Outcome

# No code takes this one for an answer of the system, as it may a KeyError or an OSError.
STRICT = "RuntimeError"
EXEMPT = r"^(process/)?(errors|arrival|bootstrap|launcher)(\.py|/)|sitecustomize"


def arguments() -> argparse.Namespace:
    """The command line; the command without its ``--``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sample", type=int, default=0, metavar="N", help="only N functions, drawn by --seed; 0 is all")
    add("--seed", type=int, default=1)
    add("--match", default=".", metavar="REGEX", help="only files whose path below autoperf/ matches")
    add("--exempt", default=EXEMPT, metavar="REGEX", help="files left alone (%(default)s)")
    add("--edge", action="store_true", help="also functions that the host itself calls")
    add("--most", type=int, default=1, metavar="N", help="raise at the first N calls (%(default)s)")
    add("--kind", metavar="CLASS", help=f"a builtin exception, or any ({STRICT}; with --probability any)")
    add("--probability", type=float, metavar="P", help="instead: each call raises with this probability")
    add("--spare", type=int, default=0, metavar="N", help="with --probability: not in the first N calls")
    add("--runs", type=int, default=100, metavar="N", help="runs with --probability (%(default)s)")
    add("--jobs", type=int, default=2, metavar="N", help="runs at a time (%(default)s)")
    add("--may-fail", action="store_true", help="COMMAND may end with another exit code than 0")
    add("--timeout", type=float, default=120, metavar="S", help="of one run (%(default)s s)")
    add("--prefix", default="{python} -m autoperf run --quiet", help="goes before COMMAND (%(default)s)")
    add("--list", action="store_true", help="only list what is reached, with the number of calls")
    add("--json", metavar="FILE", help="write the outcome there too")
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    options = parser.parse_args()
    options.command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not options.command:
        parser.error("which command?")
    options.kind = options.kind or (STRICT if options.probability is None else "any")
    return options


def plans(options: argparse.Namespace, reached: dict[str, int]) -> list[dict[str, Any]]:
    """What to do in each of the runs."""
    if options.probability is not None:
        numbers = range(options.seed, options.seed + options.runs)
        return [{"probability": options.probability, "seed": number} for number in numbers]
    names = sorted(reached)
    random.Random(options.seed).shuffle(names)
    return [{"target": name} for name in names[: options.sample or None]]


def unusable(bare: Outcome, listed: Outcome, options: argparse.Namespace) -> str:
    """Why nothing can be learnt from this command; "" where it can."""
    if (bare.code != 0 and not options.may_fail) or not bare.transcript:
        size = len(bare.transcript or "")
        return f"bare, exit code {bare.code}, {size} characters of transcript\n{bare.stderr[-500:]}"
    if trouble := listed.differs_from(bare):
        return f"under autoperf without any fault already: {trouble}\n{listed.stderr[-500:]}"
    if not listed.reached:
        return "nothing of autoperf was reached: is COMMAND a host, and its Python 3.12 or newer?"
    return ""


def name_of(plan: dict[str, Any], outcome: Outcome) -> str:
    """What a line about the run begins with."""
    if "target" in plan:
        return str(plan["target"])
    return f"seed {plan['seed']}: {sum(outcome.raised.values())} faults in {len(outcome.raised)} functions"


def judged(host: Host, todo: list[dict[str, Any]], bare: Outcome, jobs: int) -> Iterator[dict[str, Any]]:
    """The verdict on each run as it is there: HIT, UNTOLD, survived, or not reached."""
    with ThreadPoolExecutor(jobs) as pool:
        for plan, outcome in zip(todo, pool.map(host.run, range(len(todo)), todo), strict=True):
            why, verdict = outcome.differs_from(bare), "HIT"
            if not why:
                why = outcome.miscounted() if host.told and outcome.raised else ""
                verdict = "UNTOLD" if why else "survived" if outcome.raised else "not reached"
            yield {
                "what": name_of(plan, outcome),
                "verdict": verdict,
                "why": why,
                "raised": outcome.raised,
                "failures": outcome.failures,
                "stderr": outcome.last_words(),
            }


def judge(host: Host, options: argparse.Namespace) -> int:
    """Run all of it; the exit code is 1 with any HIT, 3 with an UNTOLD, 2 where nothing could be learnt."""
    bare, listed = host.run("bare", None), host.run("list", {})
    if why := unusable(bare, listed, options):
        print(f"faults: {why}")
        return 2
    calls = sum(listed.reached.values())
    print(f"{len(listed.reached)} functions reached, {calls} calls; bare exit code {bare.code}", flush=True)
    if options.list:
        print(*(f"{times:>8} {name}" for name, times in sorted(listed.reached.items())), sep="\n")
        return 0
    rows = []
    for row in judged(host, plans(options, listed.reached), bare, options.jobs):
        rows.append(row)
        if row["why"]:
            print("{verdict}  {what}  ({why})  {stderr}".format(**row), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))
    return report(rows)


def report(rows: list[dict[str, Any]]) -> int:
    """Print the last line."""
    faults = sum(sum(row["raised"].values()) for row in rows)
    verdicts = [row["verdict"] for row in rows]
    counted = ", ".join(f"{verdicts.count(v)} {v}" for v in ("survived", "HIT", "UNTOLD", "not reached"))
    print(f"{len(rows)} runs, {faults} faults: {counted}")
    return 1 if "HIT" in verdicts else 3 if "UNTOLD" in verdicts else 0


def main() -> int:
    options = arguments()
    settings = {
        key: getattr(options, key) for key in ("exempt", "match", "edge", "most", "kind", "seed", "spare")
    }
    told = options.probability is None and options.kind == STRICT
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        host = Host(options.command, options.prefix, settings, options.timeout, Path(folder), told)
        return judge(host, options)


if __name__ == "__main__":
    sys.exit(main())
