"""Say what works, what does not, and what to do about it.

Looks at the interpreter, the host in PATH (read, never imported), the options, the exporter and the last run.
Exit code 0 when nothing needs attention, else 1: so does an optimisation that is lost, because this version
of the host has other code there than is known; with --allow-losses that is only told.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoperf.cli.views.status import findings, table
from autoperf.cli.views.terminal import show, show_json
from autoperf.errors import AutoperfError, say
from autoperf.insight import processes
from autoperf.insight.facts.process import Process
from autoperf.process import bootstrap
from autoperf.process.config import Config
from autoperf.process.installation import bug_report, doctor
from autoperf.process.installation.interpreter import this_python
from autoperf.process.options import OPTIONS, shown


def arguments(parser: argparse.ArgumentParser) -> None:
    """``[PATH] [--python PY] [--home DIR] [--bundle FILE] [--allow-losses] [--json]``."""
    parser.add_argument(
        "path", metavar="PATH", nargs="?", type=Path, help="Agent Zero's folder; default: this one"
    )
    parser.add_argument(
        "--python", metavar="PY", default=this_python(), help="the interpreter that runs the host"
    )
    parser.add_argument("--home", metavar="DIR", type=Path, help="where the local store lies")
    parser.add_argument(
        "--bundle",
        metavar="FILE",
        type=Path,
        help="write a bug report to read and to send: no content, no secret",
    )
    parser.add_argument(
        "--allow-losses", action="store_true", help="exit 0 though optimisations are lost (health checks)"
    )
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Examine, print, and count problems."""
    given: dict[str, Any] = {"home": args.home.absolute()} if args.home else {}
    config = Config.from_environ(**given)
    python, found = doctor.probed(args.python, os.environ)
    recorded: list[dict[str, Any]] = []
    try:
        recorded = processes.newest(config.state_dir)
    except AutoperfError as error:
        found.append(doctor.Finding("problem", "configuration", str(error)))
    root = _root(args.path, recorded)
    layout, last = None, None
    seams: list[dict[str, Any]] = []
    if root is None:
        found.append(
            doctor.Finding("note", "host", "no Agent Zero here; name its folder: autoperf doctor PATH")
        )
    else:
        last, ran = doctor.experience(config.state_dir, recorded, root)
        told = [] if last is None else [loss.target for loss in last.patches.losses]
        layout, lines, seams = doctor.host(root, config.features, told)
        found += [*lines, *doctor.other_interpreter(root, python), *ran]
        found += [] if last is None else doctor.advice(config.state_dir, last)
    found += doctor.unanswered(config.state_dir, recorded)
    found += [*doctor.configuration(config, os.environ), *doctor.telemetry(os.environ)]
    lost = any(finding.level == "loss" for finding in found)
    well = not any(finding.level == "problem" for finding in found) and (args.allow_losses or not lost)
    if args.bundle is not None:
        version = doctor.host_version(root, layout) if root and layout else ""
        runs = list(doctor.ran_with(recorded, root)) if root else []
        subject = bug_report.Subject(python, root, version, runs, seams, found, config, os.environ)
        args.bundle.write_text(bug_report.report(subject), encoding="utf-8")
        say(f"{args.bundle}: a bug report; read it before you send it")
    config = replace(config, home=config.state_dir)
    options = [
        {
            "option": o.name,
            "variable": o.variable,
            "value": shown(getattr(config, o.name)),
            "source": config.sources[o.name],
            "meaning": o.meaning,
        }
        for o in OPTIONS
    ]
    if args.json:
        report = {
            "ok": well,
            "lost": lost,
            "findings": [vars(finding) for finding in found],
            "interpreter": None if python is None else vars(python),
            "host": {
                "root": str(root) if root else None,
                "layout": getattr(layout, "name", None),
                "seams": seams,
            },
            "last_run": None if last is None else last.as_row(),
            "configuration": options,
        }
        show_json(report)
    else:
        show(
            [
                *findings(found),
                *_facts(seams, last, options),
                "",
                _conclusion(found, last, well=well, lost=lost),
            ]
        )
    return 0 if well else 1


def _conclusion(found: list[doctor.Finding], last: Process | None, *, well: bool, lost: bool) -> str:
    if not well:
        return "something needs attention: see the lines marked with !"
    if lost:
        return "nothing is broken; optimisations are lost: see the lines marked with !"
    if last is None:
        return "nothing is known to be broken; no run of a host was looked at"
    # The last run has had its losses, or there is something to gain: no failure, but not all is well.
    told = sum(one.topic == "advice" for one in found) + len(last.notes)
    return f"nothing is broken; {told} to look at: last run, advice" if told else "all is well"


def _facts(seams: list[dict[str, Any]], last: Process | None, options: list[dict[str, str]]) -> list[str]:
    rows_of_last = [] if last is None else last.record.get("patches") or []
    # A feature that is on comes before one that is off and would patch the same.
    patches = {patch.get("target"): patch for patch in reversed(rows_of_last)}
    lines: list[str] = []
    if seams:
        rows = []
        for seam in seams:
            patch = patches.get(seam["target"], {})
            source = "missing" if not seam["present"] else "other code" if seam["lost"] else "present"
            rows.append((seam["target"], source, patch.get("state", "-"), patch.get("feature", "-")))
        lines += ["", *table(("seam", "source", "last run", "feature"), rows)]
    lines += ["", "options"]
    for row in options:
        source = "environment" if row["source"] == row["variable"] else row["source"]
        lines.append(f"  {row['variable']}={row['value']}  ({source})")
    return lines


def _root(path: Path | None, recorded: list[dict[str, Any]]) -> Path | None:
    if path is not None:
        return Path(os.path.abspath(path))
    if bootstrap.is_candidate(Path.cwd()):
        return Path.cwd()
    roots = (str((row.get("host") or {}).get("root") or "") for row in recorded)
    known = next((root for root in roots if root), None)
    return Path(known) if known else None
