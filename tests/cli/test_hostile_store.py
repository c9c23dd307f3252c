"""What a stranger wrote into a store, or a collector answered, steers no terminal, whatever shows it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.cli.views import terminal
from autoperf.errors import failures, say
from autoperf.monitor import Archive, Stall
from autoperf.process import launcher
from autoperf.process.installation import install_hint
from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from tests.cli.test_top import ROW
from tests.trace_rows import T0, Trace, process, turn

pytestmark = pytest.mark.slow

# Clear the screen, rename the window, C1's CSI, a new line that pretends to be ours, writing turned round.
EVIL = "E\x1b[2J\x1b]0;owned\x07\x9b31m\r\nautoperf: all is well\u202e\u2066\u2028\x7f\x00V"
VERBS = {
    "status": ["status"],
    "doctor": ["doctor"],
    "top": ["top", "--once"],
    "traces": ["traces", "--all"],
    "traces show": ["traces", "show", "--all"],
    "report": ["report"],
    "page": ["report", "--html", "-"],
    "history": ["history"],
    "history of tools": ["history", "--of", "tools"],
    "history of models": ["history", "--of", "models"],
    "compare": ["compare", "--all"],
    "advise": ["advise"],
    "export": ["export"],
    "export otlp": ["export", "--format", "otlp-json"],
}
JSON = ("status", "doctor", "traces", "traces show", "report", "history", "compare", "advise")


def poisoned(value: Any, *, key: str = "") -> Any:
    """``value`` with `EVIL` behind every text but those that say what an entry is."""
    if isinstance(value, dict):
        return {
            (one + EVIL if key in ("lookups", "caches", "lag", "children") else one): poisoned(item, key=one)
            for one, item in value.items()
        }
    if isinstance(value, list):
        return [poisoned(item, key=key) for item in value]
    if not isinstance(value, str) or key in ("kind", "state", "cause"):
        return value
    return value + (EVIL.replace("\x00", "") if key == "root" else EVIL)


def record(pid: int, features: list[str], started: float) -> dict[str, Any]:
    patch = {"target": "agent:Agent.get_tool", "state": "failed", "reason": "reason", "feature": "tools"}
    failure = {"seam": "seam", "reason": "reason", "count": 3}
    sample = {"cpu": 0.5, "memory": 1 << 30, "lag": {"loop": 0.4}, "children": {"chrome": [3, 1 << 28]}}
    stall = {
        "at": started,
        "seconds": 2.0,
        "loop": "AgentContext",
        "stack": ["agent.py:1 x"],
        "tool": "t",
        "cause": "code",
    }
    exporter = {"kind": "otlp-http", "endpoint": "http://c", "problem": "reason", "dropped": 2}
    row = {
        **process(pid, features=features),
        "underway": ROW["underway"],
        "patches": [patch, {**patch, "state": "inert"}],
        "failures": [failure],
        "tools": ROW["tools"],
        "extension_points": ROW["tools"],
        "monitor": {"sample": sample, "stalls": 2, "last_stall": {**stall, "chat": "c"},
                    "lasting": [{**stall, "at": started + 5}]},
        "telemetry": {"spans": 5, "exporters": [exporter], "metrics": {"exporters": [exporter]}},
        "autoperf": "0.1", "python": "3.12",
    }  # fmt: skip
    return {**poisoned(row), "pid": pid, "started": started, "updated": started + 50, "ended": started + 50}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two runs with messages; every name, attribute and text of them is hostile."""
    home = tmp_path / "home"
    now = time.time()
    shift = int(now * 1e9) - T0 - 120_000_000_000
    with Store.open(home) as store:
        for pid, begin in ((100, 0), (200, 60)):
            store.save_process(
                record(pid, ["trace"] if pid == 100 else ["tools", "trace"], now - 130 + begin)
            )
            for number in range(10):
                trace = turn(pid + number, pid=pid, at_ms=1000 * (begin + number), steps=4)
                store.add_spans(hostile(trace, shift))
        Archive(store).keep(
            [{"at": now - 60, "cpu": 0.2, "memory": 9_000_000, "lag": {"loop" + EVIL: 0.3}}],
            [Stall(now - 60, 3.0, "l" + EVIL, ("a" + EVIL,), "i" + EVIL, "c" + EVIL, "t" + EVIL)] * 9,
        )
    return home


def hostile(trace: Trace, shift: int) -> list[Any]:
    told = names.MESSAGE, names.STEP
    return [
        row._replace(
            name=row.name if row.name in told else row.name + EVIL,
            attributes=poisoned(dict(row.attributes)),
            start_ns=row.start_ns + shift,
            end_ns=row.end_ns + shift,
        )
        for row in trace.rows
    ]


def steering(text: str) -> list[str]:
    """Characters that a terminal acts on, but for the end of a line."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c != "\n"]


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_lets_it_through(
    verb: str, home: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main([*VERBS[verb], "--home", str(home)]) in (0, 1)
    captured = capfdbinary.readouterr()
    for text in (captured.out.decode(), captured.err.decode()):
        assert [c for c in steering(text) if not (c == "\x7f" and "export" in verb)] == []
        assert not re.search(r"^autoperf: all is well", text, re.MULTILINE)
    shown = captured.out.decode()
    assert re.search(r"E\\(x1b|u001b|\.\.)|x1b\]", shown) or verb == "history", "nothing hostile was shown"


@pytest.mark.parametrize("verb", JSON)
def test_json_has_it_whole_and_escaped(verb: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*VERBS[verb], "--home", str(home), "--json"]) in (0, 1)
    text = capsys.readouterr().out
    assert steering(text) == []
    json.loads(text)


def test_a_page_holds_no_markup_of_a_stranger(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "<script>alert(1)</script>\"'>"
    with Store.open(tmp_path) as store:
        trace = turn(1)
        rows = [row._replace(name=row.name + script, attributes=dict.fromkeys(row.attributes, script))
                for row in trace.rows]  # fmt: skip
        store.add_spans([trace.rows[0], *rows[1:]])
        bad = process(100, features=[script])
        store.save_process({**bad, "host": {"generation": script, "root": script}, "lookups": {
            script: bad["lookups"]["tools"]}, "caches": {script: bad["caches"]["tools"]}})  # fmt: skip
    assert cli.main(["report", "--html", "-", "--home", str(tmp_path)]) == 0
    page = capfd.readouterr().out
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert page.count("<script") == 1


def test_colours_are_ours_alone(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setattr(terminal, "in_colour", lambda: True)
    assert cli.main(["traces", "show", "--all", "--home", str(home)]) == 0
    shown = capfd.readouterr().out
    assert "\x1b[36m" in shown
    assert steering(re.sub(r"\x1b\[\d{1,2}m", "", shown)) == []


def test_the_live_screen(home: Path) -> None:
    """On a real terminal: of all escapes there are only those that draw the screen."""
    parent, child = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    done = subprocess.Popen(
        [sys.executable, "-m", "autoperf", "top", "--home", str(home)],
        stdin=child, stdout=child, stderr=child, env=environ,
    )  # fmt: skip
    os.close(child)
    text = b""
    deadline = time.monotonic() + 30
    while b"\x1b[J" not in text and time.monotonic() < deadline:
        if select.select([parent], [], [], 1)[0]:
            text += os.read(parent, 65536)
    done.send_signal(signal.SIGTERM)
    assert done.wait(20) == 128 + signal.SIGTERM
    os.close(parent)
    ours = r"\x1b\[(?:\?1049[hl]|\?25[hl]|H|K|J|0m|1m)|\r\n|\r"
    assert "owned" in text.decode()
    assert steering(re.sub(ours, "", text.decode())) == []


def test_what_is_said_is_one_line(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    say(EVIL)
    launcher._say(EVIL)
    monkeypatch.setattr(failures, "quiet", False)
    monkeypatch.setenv("AUTOPERF_DEBUG", "1")
    failures.record("seam", ValueError(EVIL))
    install_hint.report(ValueError(EVIL))
    told = capfd.readouterr().err
    assert steering(told) == []
    assert "owned" in told
    lines = told.splitlines()
    assert [line for line in lines if not line.startswith("autoperf: ")] == []
    assert "autoperf: all is well" not in lines


def test_verbs_print_by_one_function() -> None:
    """Other prints are of our own text: help, version, a folder that a shell takes as it is, progress."""
    places, writes = Path(cli.__file__).parent, re.compile(r"\bprint\(|stdout\.write")
    found = {path.name for path in places.rglob("*.py") if writes.search(path.read_text())}
    assert found == {"__init__.py", "terminal.py", "bootstrap.py", "benchmark.py"}


def test_an_argument_that_makes_no_sense(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--pid", EVIL.replace("\x00", "")]) == 2
    assert cli.main([EVIL]) == 2
    assert cli.main(["run", "--" + EVIL]) == 2
    assert steering(capfd.readouterr().err) == []
