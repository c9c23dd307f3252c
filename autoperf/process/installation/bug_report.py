"""A bug report as text: versions, features, seams, failures and options, for a person to read and to send.

What goes in is chosen field by field; no message, prompt or value of the environment is among them. Texts of
autoperf's own may name folders: `Paths` shows those below the host as ``{host}`` and leaves all others out.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from autoperf.errors.frames import OURS
from autoperf.errors.wording import is_number, printable
from autoperf.features import of_seam, way_out
from autoperf.insight.facts.process import Process
from autoperf.insight.processes import chosen, life
from autoperf.process.config import Config
from autoperf.process.installation.doctor import Finding
from autoperf.process.installation.interpreter import Interpreter, versions
from autoperf.process.options import INTERNAL_VARIABLES, OPTIONS, Option, shown, unknown_variables
from autoperf.version import __version__

PACKAGES: Final = (
    *("wrapt", "psutil", "opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp"),
    *("litellm", "openai", "mcp", "langchain-core", "browser-use"),
)
_FAILED_SHOWN: Final = 5  # processes
_DEEPER: Final = "\t"
_HEAD: Final = """\
# Bug report of autoperf

Read it before you send it. It holds versions, features, seams, failures and options. It holds no message,
no value of an environment variable but autoperf's own options, and no path outside Agent Zero's folder,
which is shown as {host}."""
# The texts of others may quote what a person has set, names of tools, or a failure.
_QUOTING_NOTHING: Final = frozenset({"interpreter", "host"})
_OTHER_PATH: Final = re.compile(r"""(?<![\w}\-])(?:[~.]{0,2}/|[A-Za-z]:[\\/]|\\\\)[^\s'"]""")
_BELOW: Final = re.compile(r"(\{(?:environment|state|home|temporary)\})[\\/].*")

Record = Mapping[str, Any]


class Paths:
    """The folders that may show in texts of ours, by the names that stand for them."""

    def __init__(self, root: Path | None, python: Interpreter | None, config: Config) -> None:
        named = {
            "{host}": str(root or ""),
            "{python}": python.executable if python else "",
            "{environment}": python.prefix if python else "",
            "{state}": str(config.state_dir),
            "autoperf": OURS.rstrip(os.sep),
            "{home}": os.path.expanduser("~"),
            "{temporary}": tempfile.gettempdir(),
        }
        forms = {
            form: name for name, path in named.items() for form in (path, os.path.realpath(path)) if path
        }
        self._known = sorted(
            ((form, name) for form, name in forms.items() if len(form) > 1), key=lambda pair: -len(pair[0])
        )

    def cut(self, text: str) -> str:
        """``text`` as one line that names no folder: of a path outside the host's it ends at the first."""
        text = printable(" ".join(text.split()))
        for path, name in self._known:
            text = re.sub(rf"{re.escape(path)}(?![\w.\-])", name, text)
        text = _BELOW.sub(r"\1/...", text)
        other = _OTHER_PATH.search(text)
        return text if other is None else f"{text[: other.start()]}{{path}}..."


@dataclass(frozen=True)
class Subject:
    """What a report is about; ``processes`` are the records of those that ran with ``root``, newest first."""

    python: Interpreter | None
    root: Path | None
    version: str
    processes: Sequence[Record]
    seams: Sequence[Record]
    findings: Sequence[Finding]
    config: Config
    environ: Mapping[str, str]

    @property
    def last(self) -> dict[str, Any] | None:
        """The record that `doctor` speaks of as the last run."""
        return chosen([dict(record) for record in self.processes])


def report(subject: Subject) -> str:
    """The whole text; it starts the host's interpreter once, to ask for the versions of its packages."""
    paths = Paths(subject.root, subject.python, subject.config)
    sections = {
        "Versions": _versions(subject),
        "Findings": _findings(subject),
        "Last run": _last_run(subject),
        "Seams": _seams(subject),
        "Failures": _failures(subject),
        "Options": _options(subject),
    }
    lines = [_HEAD]
    for name, section in sections.items():
        lines += ["", f"## {name}", ""]
        lines += [f"{'    ' if line[:1] == _DEEPER else '* '}{paths.cut(line)}" for line in section] or [
            "none"
        ]
    return "\n".join(lines) + "\n"


def _versions(subject: Subject) -> Iterator[str]:
    yield f"autoperf {__version__}"
    yield f"Agent Zero {subject.version or '(not recognised)'}"
    python = subject.python
    yield f"Python {python.text if python else '(does not run)'}"
    yield f"{platform.system()} {platform.release()}, {platform.machine()}"
    if python is not None:
        yield from (f"{name} {version}" for name, version in versions(python.executable, PACKAGES).items())


def _findings(subject: Subject) -> Iterator[str]:
    for finding in subject.findings:
        if finding.topic in _QUOTING_NOTHING:
            yield f"{finding.level}: {finding.text}"
        elif finding.level == "problem" and finding.topic != "last run":
            yield f"problem: {finding.topic}; doctor says which, and may quote what is set"


def _last_run(subject: Subject) -> Iterator[str]:
    record = subject.last
    if record is not None:
        process = Process(record, life(record), time.time())
        yield f"began {_time(record.get('started'))}, last heard of {_time(record.get('updated'))}"
        yield f"it {process.ending.text}; {process.patches.text}"
        yield f"autoperf {record.get('autoperf')}, Python {record.get('python')}"
        yield f"features: {', '.join(record.get('features') or ()) or 'none'}"


def _seams(subject: Subject) -> Iterator[str]:
    patches = (subject.last or {}).get("patches")
    for row in patches or ():
        reason = f": {row['reason']}" if row.get("reason") else ""
        yield f"{row.get('state')}: {row.get('target')} ({row.get('feature')}){reason}"
    if not patches:
        for row in subject.seams:
            reason = f": {row['reason']}" if row["reason"] else ""
            yield f"{'present' if row['present'] else 'missing'} in the source: {row['target']}{reason}"


def _failures(subject: Subject) -> Iterator[str]:
    failed = [record for record in subject.processes if record.get("failures")]
    for record in failed[:_FAILED_SHOWN]:
        yield f"process that began {_time(record.get('started'))}, autoperf {record.get('autoperf')}"
        for one in record["failures"]:
            # Of the reason only the class: with AUTOPERF_DEBUG it may quote the host's data.
            error = one.get("error") or str(one.get("reason")).partition(":")[0]
            # Last, for it ends at the first path outside the host's.
            text = f"; {one['text']}" if one.get("text") else ""
            seam = str(one.get("seam"))
            out = one.get("way_out") or way_out(of_seam(seam))
            yield f"{seam}: {error}, {one.get('count')} times; to leave it out: {out}{text}"
            yield from (f"{_DEEPER}{frame}" for frame in one.get("frames") or ())


def _options(subject: Subject) -> Iterator[str]:
    config, environ = subject.config, subject.environ
    options = (subject.last or {}).get("options") or {}
    for option in OPTIONS:
        source = config.sources[option.name]
        value = shown(getattr(config, option.name))
        if option.name == "home":
            value = "(a folder)" if value else ""
        elif source == "default" and option.variable in environ:
            source = "default, for what is set makes no sense"
        then = _readable(option, options.get(option.name))
        more = f"; {then} in the last run" if then not in ("", value) else ""
        yield f"{option.variable}={value} ({source}){more}"
    known = {option.variable for option in OPTIONS} | INTERNAL_VARIABLES
    unknown = unknown_variables(environ, known)
    yield f"set besides, by name: {', '.join([*unknown, *_beside(environ)]) or 'nothing'}"


def _readable(option: Option, value: Any) -> str:
    """A recorded value as a person would type it; empty where it is none that the option can have."""
    try:
        return "" if value is None else shown(option.parse(shown(value)))
    except ValueError:
        return ""


def _beside(environ: Mapping[str, str]) -> list[str]:
    ours = {"AUTOPERF_DISABLED", "AUTOPERF_DEBUG", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    standard = {option.variable for option in OPTIONS}
    return sorted(
        name for name in environ if name in ours or (name.startswith("OTEL_") and name not in standard)
    )


def _time(seconds: Any) -> str:
    if not is_number(seconds):
        return "(unknown)"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
