"""Processes to be told of, each with a store of its own: most are real runs of a look-alike."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoperf.insight.processes import newest, unreported
from autoperf.telemetry.store.store import Store
from tests.interpreters import REPOSITORY
from tests.trace_rows import keep, process, turn

SCRIPT = REPOSITORY / "tests" / "prepared_process.py"
HOSTS = REPOSITORY / "tests" / "hosts"
CLOSED_PORT = "http://127.0.0.1:9"
# What a case is run with; the look-alike is v2 where nothing else is named.
REAL: dict[str, dict[str, str]] = {
    "ended well": {},
    "ended well, v0.8": {"HOST": "v0_8"},
    "killed before the first write": {},
    "killed in mid-turn": {},
    "crashed": {},
    "still running": {},
    "stopped": {},
    "observed only": {"AUTOPERF_FEATURES": "trace"},
    "features off by option": {"AUTOPERF_FEATURES": "-tools,-mcp"},
    "lost seams": {},
    "failed patches": {"AUTOPERF_FAIL_OPEN": "1"},
    "failures": {"AUTOPERF_FAIL_OPEN": "1"},
    "stalls": {},
    "drops": {"OTEL_EXPORTER_OTLP_ENDPOINT": CLOSED_PORT, "OTEL_BSP_MAX_QUEUE_SIZE": "1"},
    "no inotify": {"AUTOPERF_INOTIFY": "0"},
    "no monitor": {"AUTOPERF_FEATURES": "-monitor"},
    "advice": {"PYTHONDONTWRITEBYTECODE": "1"},
    "no store": {},
    "forked children": {},
}


@dataclass
class Prepared:
    """``home`` is the state directory, ``live`` what the process said of itself at its end, where it did."""

    name: str
    home: Path
    pid: int | None
    live: dict[str, Any] | None = None
    stderr: str = ""
    running: subprocess.Popen[str] | None = field(default=None, repr=False)


def prepare(folder: Path) -> dict[str, Prepared]:
    """All of them below ``folder``; the running ones run until `end`."""
    started = {name: _start(folder / name, name, more) for name, more in REAL.items()}
    found = {name: _finish(folder / name, name, child) for name, child in started.items()}
    found["two with one store"] = _again(folder, found["ended well"])
    for made in (_never_reported, _some_tokens, _earlier_version, _replaced, _bootstrap_failed):
        name = made.__name__.strip("_").replace("_", " ")
        found[name] = made(folder / name)
    return found


def end(prepared: dict[str, Prepared]) -> None:
    """End those that still run."""
    for one in prepared.values():
        if one.running is not None:
            one.running.send_signal(signal.SIGCONT)
            one.running.communicate("\n")


def _start(folder: Path, case: str, more: dict[str, str]) -> subprocess.Popen[str]:
    host = more.get("HOST", "v2")
    root = folder / "host"
    shutil.copytree(HOSTS / host, root, ignore=shutil.ignore_patterns("__pycache__", "tmp"))
    home = folder / "state"
    if case == "no store":
        (folder / "file").write_text("no folder")
        home = folder / "file" / "state"
    command = [sys.executable, str(SCRIPT), host, case]
    if case == "killed before the first write":
        command = [sys.executable, "-m", "autoperf", "run", *command]
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    given = {key: value for key, value in more.items() if key != "HOST"}
    return subprocess.Popen(
        command,
        cwd=root,
        env={**kept, "PYTHONPATH": str(REPOSITORY), "AUTOPERF_HOME": str(home), **given},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _finish(folder: Path, case: str, child: subprocess.Popen[str]) -> Prepared:
    home = folder / ("file/state" if case == "no store" else "state")
    if case in ("still running", "stopped"):
        assert child.stdout is not None
        live = json.loads(child.stdout.readline())
        if case == "stopped":
            child.send_signal(signal.SIGSTOP)
        return Prepared(case, home, child.pid, live, running=child)
    out, err = child.communicate(timeout=60)
    killed = case in ("killed before the first write", "killed in mid-turn", "crashed")
    assert (child.returncode < 0) == killed, err
    return Prepared(case, home, child.pid, json.loads(out) if out else None, err)


def _again(folder: Path, first: Prepared) -> Prepared:
    """A second process of another host, which writes into the store of the first."""
    home = folder / "two with one store" / "state"
    shutil.copytree(first.home, home)
    child = _start(folder / "two with one store", "ended well", {"HOST": "v0_9_8"})
    return _finish(folder / "two with one store", "ended well", child)


def _never_reported(folder: Path) -> Prepared:
    home = folder / "state"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "AUTOPERF_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "autoperf", "run", "sh", "-c", "exit 0"], env=environ, check=True)
    (launch,) = unreported(home)
    return Prepared("never reported", home, launch["pid"])


def _some_tokens(folder: Path) -> Prepared:
    """Of five model calls the one of the subordinate reported no tokens."""
    home = keep(folder / "state", turn(1, pid=4194000), processes=[{**process(4194000, features=["trace"])}])
    return Prepared("some tokens", home, 4194000)


def _earlier_version(folder: Path) -> Prepared:
    """As it was written before look-ups were told apart from what is kept, with less in it."""
    old = {
        **process(4194001, features=["tools", "trace"]),
        "caches": {"code": {"hits": 3, "misses": 1, "maxsize": 9, "currsize": 4}},
    }
    del old["host"]
    return Prepared("earlier version", keep(folder / "state", turn(2, pid=4194001), processes=[old]), 4194001)


def _replaced(folder: Path) -> Prepared:
    """By a program that was started in its place, in the same process."""
    first = {**process(4194002, features=["trace"]), "ended": None}
    second = {**first, "started": first["started"] + 50, "updated": first["updated"] + 50}
    home = keep(folder / "state", turn(3, pid=4194002, at_ms=55_000), processes=[first])
    with Store.open(home) as store:
        assert store.save_process(second)
    return Prepared("replaced", home, 4194002)


def _bootstrap_failed(folder: Path) -> Prepared:
    """Autoperf could not start in it and left a record of that."""
    home = folder / "state"
    record = {"pid": 4194003, "started": time.time() - 60, "autoperf": "0.1.0", "features": [], "patches": []}
    failure = {"seam": "bootstrap", "reason": "RuntimeError", "count": 1}
    with Store.open(home) as store:
        assert store.save_process({**record, "host": {"root": "/srv/a0"}, "failures": [failure]})
    return Prepared("bootstrap failed", home, 4194003)


def record_of(prepared: Prepared) -> dict[str, Any] | None:
    """What is stored of it, the latest with its pid."""
    return next((row for row in newest(prepared.home) if row.get("pid") == prepared.pid), None)
