"""The process-global state that a host could notice, bare and under autoperf.

    python tests/judges/state.py run [--when QUALNAME]... OUT.json -- COMMAND...
    python tests/judges/state.py compare A.json B.json
    python tests/judges/state.py diff [--when QUALNAME]... -- COMMAND...

``run`` writes fingerprints of one run: at its start, when a function begins, at its exit. ``compare`` tells
every difference that docs/observable.md does not list, with exit code 1 if there is any. ``diff`` runs
COMMAND bare and under ``autoperf run``, and compares. COMMAND starts with a Python; --when names a function
as ``code.co_qualname`` does, and needs Python 3.12 there. `random` is seeded, so that its stream can be
compared.

    state.py diff --when Agent.monologue -- python examples/mini_agent/run_ui.py --messages 1
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROBE = HERE / "probe"
ALLOWED = HERE.parents[1] / "docs" / "observable.md"
UNDER_AUTOPERF = "{python} -m autoperf run --quiet"


def run(command: list[str], out: Path, when: list[str]) -> int:
    """Run the command with the probe in it; its output is dropped. Returns its exit code."""
    path = os.pathsep.join(filter(None, [str(PROBE), os.environ.get("PYTHONPATH")]))
    plan = json.dumps({"out": str(out.resolve()), "when": when, "probe": str(PROBE)})
    environment = {**os.environ, "PYTHONPATH": path, "STATE_PLAN": plan}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    if not out.exists():
        reason = "does COMMAND start a Python that reads sitecustomize?"
        raise SystemExit(f"state: no fingerprint, exit code {done.returncode}: {reason}")
    told = json.loads(out.read_text())
    missing = [name for name in when if name not in told]
    if missing:
        print(f"state: never called: {', '.join(missing)}", file=sys.stderr)
    return done.returncode


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested dicts as one, keys joined; a list of words is one entry a word, so that additions show."""
    if isinstance(value, dict):
        parts = [flat(each, f"{key} / {name}" if key else str(name)) for name, each in value.items()]
        return {k: v for part in parts for k, v in part.items()}
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return {f"{key} / {each}": "there" for each in value}
    return {key: value}


def compare(
    first: dict[str, Any], second: dict[str, Any], allowed: list[re.Pattern[str]]
) -> tuple[list[str], set[str]]:
    """The differences that are not allowed, and the patterns that allowed one."""
    found: list[str] = []
    used: set[str] = set()
    for moment in {**first, **second}:
        if moment not in first or moment not in second:
            found.append(f"{moment}: only {'bare' if moment in first else 'under autoperf'}")
            continue
        a, b = flat(first[moment]), flat(second[moment])
        for key in {**a, **b}:
            if a.get(key) == b.get(key):
                continue
            line = f"{moment} {key}: {a.get(key, 'absent')} -> {b.get(key, 'absent')}"
            passing = [pattern.pattern for pattern in allowed if pattern.search(line)]
            used.update(passing)
            found += [] if passing else [line]
    return found, used


def allow_list(page: Path = ALLOWED) -> list[re.Pattern[str]]:
    """What the page's table lets pass: expressions, searched in ``moment key: bare -> autoperf``."""
    rows = re.findall(r"^\| `(.+?)` \|", page.read_text(encoding="utf-8"), re.M)
    return [re.compile(row.replace("\\|", "|")) for row in rows]


def diff(command: list[str], when: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fingerprints of ``command`` bare and under autoperf, with a store of its own."""
    with tempfile.TemporaryDirectory(prefix="state-") as folder:
        bare, ours = Path(folder, "bare.json"), Path(folder, "ours.json")
        os.environ["AUTOPERF_HOME"] = os.path.join(folder, "home")
        run(command, bare, when)
        run([*UNDER_AUTOPERF.replace("{python}", command[0]).split(), *command], ours, when)
        return json.loads(bare.read_text()), json.loads(ours.read_text())


def arguments() -> argparse.Namespace:
    """The command line; the command without its ``--``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one, two, both = verbs.add_parser("run"), verbs.add_parser("compare"), verbs.add_parser("diff")
    one.add_argument("out", type=Path)
    two.add_argument("first", type=Path)
    two.add_argument("second", type=Path)
    for each in (one, both):
        each.add_argument("--when", action="append", default=[], metavar="QUALNAME")
        each.add_argument("command", nargs=argparse.REMAINDER)
    for each in (two, both):
        each.add_argument("--allow", type=Path, default=ALLOWED, metavar="PAGE", help="default %(default)s")
    options = parser.parse_args()
    if options.verb != "compare":
        options.command = options.command[1:] if options.command[:1] == ["--"] else options.command
        if not options.command:
            parser.error("which command?")
    return options


def main() -> int:
    options = arguments()
    if options.verb == "run":
        return run(options.command, options.out, options.when)
    if options.verb == "compare":
        first, second = (json.loads(path.read_text()) for path in (options.first, options.second))
    else:
        first, second = diff(options.command, options.when)
    found, used = compare(first, second, allow_list(options.allow))
    print(*found, sep="\n")
    print(f"{len(found)} differences at {len(first)} moments; {len(used)} lines of the list were needed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
