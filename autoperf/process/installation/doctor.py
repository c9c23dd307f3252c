"""Everything that decides whether autoperf will work for one host in one interpreter, as findings."""

from __future__ import annotations

import ast
import difflib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoperf.errors import AutoperfError
from autoperf.features import DEFAULT
from autoperf.insight import processes
from autoperf.insight.advice.collect import recommendations_of
from autoperf.insight.facts.patches import foreseen
from autoperf.insight.facts.process import Process
from autoperf.process import bootstrap
from autoperf.process.config import Config
from autoperf.process.installation import install
from autoperf.process.installation.bundle import PACKAGES
from autoperf.process.installation.interpreter import Interpreter, how_to_install, probe
from autoperf.process.launcher import template_folder
from autoperf.process.options import INTERNAL_VARIABLES, OPTIONS, unknown_variables
from autoperf.telemetry.export import endpoint
from autoperf.telemetry.store import state_directory

if TYPE_CHECKING:
    from autoperf.instrumentation.agentzero import Layout

# The files whose definitions make a layout; others may use any syntax.
_TELLING = ("agent.py", "{}/extension.py", "{}/extract_tools.py", "{}/modules.py", "{}/mcp_handler.py")
NOT_RUN: Final = "no run with this host is known: its source was read, not what packages and plugins change"


@dataclass(frozen=True)
class Finding:
    """One line for a person; ``level`` is "ok", "note", "loss" or "problem".

    A problem needs attention, and so does the loss of an optimisation unless losses are allowed.
    """

    level: str
    topic: str
    text: str


def interpreter(python: Interpreter, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether autoperf can be loaded by ``python``, and how it gets in there."""
    yield Finding("ok", "interpreter", f"Python {python.text}  {python.executable}")
    lacking = how_to_install(python)
    copied = _self_contained(environ) if python.reached else None
    if copied is not None:
        yield Finding("ok", "interpreter", f"a self-contained bootstrap is on PYTHONPATH: {copied}")
        return
    if lacking is None:
        yield Finding(
            "ok", "interpreter", f"autoperf is importable: {os.path.dirname(python.autoperf or '')}"
        )
    else:
        yield Finding("problem", "interpreter", lacking)
    if bootstrap.switched_off(environ):
        text = f"AUTOPERF_DISABLED={environ['AUTOPERF_DISABLED']} switches autoperf off; unset it"
        yield Finding("problem", "interpreter", text)
        return
    yield from _way_in(python, environ)


def _self_contained(environ: Mapping[str, str]) -> str | None:
    entries = environ.get("PYTHONPATH", "").split(os.pathsep)
    return next((e for e in entries if e and (Path(e) / PACKAGES / "autoperf").is_dir()), None)


def _way_in(python: Interpreter, environ: Mapping[str, str]) -> Iterator[Finding]:
    on_path = template_folder() in environ.get("PYTHONPATH", "").split(os.pathsep)
    lines = install.installed(python)
    if lines:
        yield Finding("ok", "interpreter", f"installed for every program: {', '.join(map(str, lines))}")
    elif on_path and python.reached:
        yield Finding("ok", "interpreter", "the bootstrap is on PYTHONPATH (python -S, -I and -E skip it)")
    elif on_path:
        yield Finding(
            "problem",
            "interpreter",
            f"the bootstrap is on PYTHONPATH after {python.sitecustomize}; put its folder first",
        )
    elif not python.reached:
        yield Finding(
            "note",
            "interpreter",
            "not in its environment: start the host with `autoperf run` (-S, -I, -E skip it)",
        )
    if lines and not python.reached:
        yield Finding(
            "problem", "interpreter", f"{lines[0].parent} is not read when it starts; see its site settings"
        )


def host(
    root: Path, features: Collection[str] = DEFAULT, told: Collection[str] = ()
) -> tuple[Layout | None, list[Finding], list[dict[str, Any]]]:
    """What lies in ``root``: its layout, findings, and every seam as a row of facts read from the source.

    A loss is one of the ``features`` that are on; of the targets ``told`` the last run tells.
    """
    from autoperf.instrumentation.agentzero import detect, explain, survey

    if not bootstrap.is_candidate(root):
        missing = f"no Agent Zero in {root}: it has agent.py beside helpers/ or python/helpers/"
        return None, [Finding("problem", "host", missing)], []
    unreadable = _unreadable(root)
    if unreadable is not None:
        return None, [Finding("problem", "host", unreadable)], []
    layout = detect(root)
    if layout is None:
        text = f"{root} has an agent.py, but its source defines no layout that is known here"
        reasons = [Finding("note", "host", line) for line in explain(root)]
        return None, [Finding("problem", "host", text), *reasons], []
    known = f"Agent Zero {host_version(root, layout)}, layout of {layout.generation}"
    findings = [Finding("ok", "host", f"{known}  {root}")]
    try:
        seams = [vars(seam) for seam in survey(root, layout)]
    except ImportError as error:
        text = f"its functions are not compared with those known: {error}"
        return layout, [*findings, Finding("problem", "host", text)], []
    findings += [Finding("loss", "host", text) for text in foreseen(seams, features).lost_but(told)]
    findings += [
        Finding("note", "host", f"{row['target']} is left alone: {row['reason']}")
        for row in seams
        if not row["lost"] and not row["present"]
    ]
    return layout, findings, seams


def host_version(root: Path, layout: Layout) -> str:
    """The version of the host that lies in ``root``, as it is shown everywhere."""
    from autoperf.instrumentation.agentzero import version

    return version(root, layout)


def other_interpreter(root: Path, python: Interpreter | None) -> Iterator[Finding]:
    """A hint when ``root`` holds an interpreter of its own and another one was looked at."""
    own = next((path for path in _interpreters_in(root) if path.exists()), None)
    if own is not None and (python is None or own.parent.parent.resolve() != Path(python.prefix).resolve()):
        yield Finding("note", "host", f"it has an interpreter of its own: look with --python {own}")


def _unreadable(root: Path) -> str | None:
    folder = "helpers" if (root / "helpers").is_dir() else "python/helpers"
    for name in _TELLING:
        path = root / name.format(folder)
        try:
            ast.parse(path.read_bytes(), str(path))
        except OSError:
            continue
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            where = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
            running = "{}.{}".format(*sys.version_info)
            text = f"{path.relative_to(root)} cannot be read by Python {running} ({where})"
            newer = next((python for python in _other_pythons(root) if _parses(python, path)), None)
            if newer is None:
                return f"{text}; use a newer Python for doctor, the one that runs the host"
            return f"{text}; its syntax is newer: run {newer} -m autoperf doctor {root}"
    return None


def _interpreters_in(root: Path) -> list[Path]:
    return [root / name / "bin" / "python" for name in (".venv", "venv")]


def _other_pythons(root: Path) -> Iterator[str]:
    yield from (str(path) for path in _interpreters_in(root) if path.exists())
    yield from (path for minor in range(19, 10, -1) if (path := shutil.which(f"python3.{minor}")))


def _parses(python: str, path: Path) -> bool:
    program = "import ast, sys; ast.parse(open(sys.argv[1], 'rb').read())"
    try:
        done = subprocess.run([python, "-I", "-S", "-c", program, str(path)], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def configuration(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the options, and whether the state directory can be written."""
    variables = [option.variable for option in OPTIONS]
    misspelt = unknown_variables(environ, {*variables, *INTERNAL_VARIABLES})
    yield from (
        Finding("problem", "configuration", text)
        for text in config.problems
        if text.split()[0] not in misspelt
    )
    for name in misspelt:
        close = difflib.get_close_matches(name, variables, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        yield Finding("problem", "configuration", f"{name} is not an option of autoperf{hint}")
    folder = config.state_dir
    refused = state_directory.refusal(folder)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if refused is not None:
        yield Finding("problem", "configuration", refused)
    elif existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        yield Finding("ok", "configuration", f"the local store can be written: {folder}")
    else:
        yield Finding(
            "problem", "configuration", f"the local store cannot be written: {folder}; set AUTOPERF_HOME"
        )
    if environ.get("PYTHONDONTWRITEBYTECODE"):
        yield Finding(
            "note",
            "configuration",
            "PYTHONDONTWRITEBYTECODE makes every load of a tool compile it again; unset it",
        )


def telemetry(environ: Mapping[str, str], timeout: float = 1.0) -> Iterator[Finding]:
    """Where spans go besides the local store; waits at most ``timeout`` seconds for each endpoint."""
    try:
        from autoperf.telemetry.export.otlp import switched_off, targets
    except ImportError as error:
        yield Finding("note", "telemetry", f"not looked at: {error}")
        return
    found, problems = targets(environ)
    yield from (Finding("problem", "telemetry", problem) for problem in problems)
    if switched_off(environ):
        yield Finding("note", "telemetry", "no spans, nor any in the local store: OTEL_SDK_DISABLED=true")
    elif not found:
        named = environ.get("OTEL_TRACES_EXPORTER")
        why = f" (OTEL_TRACES_EXPORTER={named})" if named else ""
        hint = "" if named else "; set OTEL_EXPORTER_OTLP_ENDPOINT to send them"
        yield Finding("ok", "telemetry", f"spans stay in the local store{why}{hint}")
    for target in found:
        if target.kind == "console":
            yield Finding("ok", "telemetry", "spans are printed too")
        else:
            yield from _exporter(endpoint.Endpoint(target.endpoint, target.kind == "otlp-grpc"), timeout)


def _exporter(target: endpoint.Endpoint, timeout: float) -> Iterator[Finding]:
    mistake = endpoint.mistaken(target)
    if mistake is not None:
        yield Finding("problem", "telemetry", mistake)
    reason = endpoint.unreachable(target, timeout)
    if reason is None:
        how = "gRPC" if target.grpc else "HTTP"
        yield Finding("ok", "telemetry", f"something answers at {target.public}, where spans go by {how}")
    else:
        text = f"{target.public} does not answer: {reason}; is the collector running?"
        yield Finding("problem", "telemetry", text)


def ran_with(recorded: list[dict[str, Any]], root: Path) -> Iterator[dict[str, Any]]:
    """The processes whose host lies in ``root``, in their order."""
    here = os.path.realpath(root)
    for row in recorded:
        if os.path.realpath(str((row.get("host") or {}).get("root", ""))) == here:
            yield row


def experience(
    directory: Path, recorded: list[dict[str, Any]], root: Path
) -> tuple[Process | None, list[Finding]]:
    """The process that ran with ``root``, the newest that runs before those that ended, and how it went."""
    found = processes.chosen(list(ran_with(recorded, root)))
    if found is None:
        return None, [Finding("note", "last run", NOT_RUN)]
    process = processes.as_seen(directory, found)
    lines = [Finding("ok", "last run", process.lines[0])]
    lines += [Finding("loss", "last run", text) for text in process.patches.lost]
    lines += [Finding("problem", "last run", text) for text in process.problems]
    return process, lines + [Finding("note", "last run", text) for text in process.notes]


def advice(directory: Path, process: Process) -> Iterator[Finding]:
    """What `autoperf advise` recommends for ``process``, by its titles."""
    for one in recommendations_of(directory, process):
        yield Finding("note", "advice", f"[{one.weight}] {one.title}; see autoperf advise")


def unanswered(directory: Path, recorded: list[dict[str, Any]]) -> Iterator[Finding]:
    """The newest launch since the newest process, when no host has answered it."""
    for launch in processes.unreported(directory, recorded[0] if recorded else None)[:1]:
        yield Finding("note", "last run", processes.told(launch, time.time()))


def probed(python: str, environ: Mapping[str, str]) -> tuple[Interpreter | None, list[Finding]]:
    """``python`` as a program started from this environment will find it."""
    try:
        found = probe(python, environ)
    except AutoperfError as error:
        return None, [Finding("problem", "interpreter", str(error))]
    return found, list(interpreter(found, environ))
