"""A bug report holds what happened and where, and nothing that a person would not show to strangers."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoperf import cli
from autoperf.process.config import Config
from autoperf.process.installation import bug_report
from autoperf.process.installation.doctor import Finding
from autoperf.telemetry.store.store import Store
from tests.interpreters import REPOSITORY, TEMPLATE
from tests.process.installation.test_doctor import HEALTHY

SECRET = "sk-1234-of-the-user"

# The mini agent, with a failure of ours at each look-up of a tool that quotes what the host was told.
FAILS = f"""
import runpy, sys
from autoperf.memo import counters
def count(self, **_):
    {{}}["{SECRET}"]
counters.Lookups.count = count
sys.argv = ["run_ui.py", "--messages", "1", "--tools", "4"]
sys.path.insert(0, ".")
runpy.run_path("run_ui.py", run_name="__main__")
"""


# A value that makes no sense, a name that is none; a collector that does not answer.
TOPICS = ["configuration", "configuration", "telemetry"]


def environment(home: Path, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTHON"))}
    path = os.pathsep.join([str(TEMPLATE), str(REPOSITORY)])
    return {**clean, "PYTHONPATH": path, "AUTOPERF_HOME": str(home), **more}


def reported(root: Path, home: Path, file: Path, **more: str) -> str:
    words = [sys.executable, "-m", "autoperf", "doctor", str(root), "--bundle", str(file)]
    done = subprocess.run(
        words, env=environment(home, **more), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == f"autoperf: {file}: a bug report; read it before you send it\n"
    return file.read_text(encoding="utf-8")


def section(text: str, name: str) -> list[str]:
    return text.partition(f"## {name}\n\n")[2].partition("\n\n")[0].splitlines()


@pytest.mark.parametrize("debug", ["", "1"], ids=["as usual", "AUTOPERF_DEBUG"])
def test_of_a_process_that_failed(tmp_path: Path, debug: str) -> None:
    root, home = tmp_path / "agent of alice", tmp_path / "state of alice"
    shutil.copytree(REPOSITORY / "examples" / "mini_agent", root)
    done = subprocess.run(
        [sys.executable, "-c", FAILS],
        cwd=root,
        env=environment(home, AUTOPERF_DEBUG=debug, AUTOPERF_DETAIL="all"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    out = "AUTOPERF_FEATURES=-tools or AUTOPERF_DISABLED=1"
    assert f"the host's own code runs instead; to leave it out: {out}" in done.stderr
    text = reported(
        root,
        home,
        tmp_path / "report.md",
        AUTOPERF_STREAM_HZ=SECRET,
        AUTOPERF_TYPO=SECRET,
        API_KEY_OPENAI=SECRET,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={SECRET}",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://user:{SECRET}@127.0.0.1:1",
    )
    assert SECRET not in text
    assert "alice" not in text
    assert not re.search(r"(?<![\w}])/\w", text), "no path outside the host's"
    assert f"* autoperf {bug_report.__version__}" in section(text, "Versions")
    assert any(line.startswith("* opentelemetry-sdk ") for line in section(text, "Versions"))
    assert any(line.startswith("* features: client, extensions, ") for line in section(text, "Last run"))
    assert "* applied: agent:Agent.get_tool (tools)" in section(text, "Seams")
    process, *told = section(text, "Failures")
    assert process.startswith("* process that began 20")
    here = next(number for number, line in enumerate(told) if line.startswith("* agent:Agent.get_tool"))
    failure, *frames = told[here], *itertools.takewhile(lambda line: line[0] == " ", told[here + 1 :])
    assert re.fullmatch(rf"\* agent:Agent\.get_tool: KeyError, \d+ times; to leave it out: {out}", failure)
    assert any(re.fullmatch(r"    \{host\}/agent\.py:\d+ (Agent\.)?\w+", frame) for frame in frames[:-2])
    assert re.fullmatch(
        r"    autoperf/instrumentation/agentzero/tracing/tool_lookup\.py:\d+ (lookup\.<locals>\.)?found",
        frames[-2],
    )
    assert frames[-1] == "    elsewhere", "where the test made it fail"
    problems = [line for line in section(text, "Findings") if line.startswith("* problem")]
    quoting = [f"* problem: {topic}; doctor says which, and may quote what is set" for topic in TOPICS]
    assert problems == quoting
    options = section(text, "Options")
    assert "* AUTOPERF_HOME=(a folder) (AUTOPERF_HOME)" in options
    assert "* AUTOPERF_DETAIL=step (default); all in the last run" in options
    assert "* AUTOPERF_STREAM_HZ=20.0 (default, for what is set makes no sense)" in options
    named = "AUTOPERF_TYPO, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, PYTHONPATH"
    assert options[-1] == f"* set besides, by name: {named}"


def test_of_nothing_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["doctor", "--home", str(tmp_path / "none"), "--bundle", "report.md", "--json"]
    cli.main(line)
    assert json.loads(capsys.readouterr().out)["host"]["root"] is None
    text = Path("report.md").read_text(encoding="utf-8")
    assert "* Agent Zero (not recognised)" in section(text, "Versions")
    assert section(text, "Last run") == section(text, "Seams") == section(text, "Failures") == ["none"]


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "no" / "report.md"
    assert cli.main(["doctor", "--home", str(tmp_path), "--bundle", str(target)]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"autoperf: {target}: no such file or directory\n"


HOSTILE: dict[str, Any] = {
    "pid": 1,
    "started": 1_700_000_000.0,
    "autoperf": "0.0.9",
    "options": {"detail": SECRET, "tool": "off", "content_limit": "many", "store_max_mb": 7},
    "failures": [
        {
            "seam": "yaml",
            "reason": f"ValueError: {SECRET} at instrumentation/agentzero/memos/yaml.py:7",
            "count": 3,
        },
        {
            "seam": "telemetry:store",
            "reason": f"OSError: {SECRET}",
            "count": 1,
            "error": "StateDirectoryError",
            "text": "/srv/of alice/autoperf is a link of a stranger's",
            "way_out": "AUTOPERF_FEATURES=-trace or AUTOPERF_DISABLED=1",
        },
    ],
}


def test_of_records_of_an_older_version(tmp_path: Path) -> None:
    home = tmp_path / "state"
    root = REPOSITORY / "tests" / "hosts" / "v2"
    with Store.open(home) as store:
        store.save_process({**HOSTILE, "host": {"root": str(root)}})
        store.save_process({**HOSTILE, "pid": 2, "host": {"root": "/somewhere/else"}})
    text = reported(root, home, tmp_path / "report.md")
    assert SECRET not in text
    assert section(text, "Failures") == [
        "* process that began 2023-11-14 22:13:20 UTC, autoperf 0.0.9",
        "* yaml: ValueError, 3 times; to leave it out: AUTOPERF_FEATURES=-settings or AUTOPERF_DISABLED=1",
        "* telemetry:store: StateDirectoryError, 1 times; to leave it out: "
        "AUTOPERF_FEATURES=-trace or AUTOPERF_DISABLED=1; {path}...",
    ]
    options = section(text, "Options")
    assert "* AUTOPERF_DETAIL=step (default)" in options
    assert "* AUTOPERF_CONTENT_LIMIT=4096 (default)" in options
    assert "* AUTOPERF_TOOL=callable (default); off in the last run" in options
    assert "* AUTOPERF_STORE_MAX_MB=64 (default); 7 in the last run" in options
    assert any(line.startswith("* present in the source: ") for line in section(text, "Seams"))


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("{root}/python/helpers/files.py:3 read", "{{host}}/python/helpers/files.py:3 read"),
        ("it is in {root}", "it is in {{host}}"),
        ("it is in {root}-of-alice/x", "it is in {{path}}..."),
        ("{home}/.ssh/id of alice is there", "{{home}}/..."),
        ("in {state}/autoperf.db or so", "in {{state}}/..."),
        ("in ~/x", "in {{path}}..."),
        ("in ../x y", "in {{path}}..."),
        ("in './x y'", "in '{{path}}..."),
        ("at http://collector.of.alice:4318/v1", "at http:{{path}}..."),
        (r"in C:\Users\alice", "in {{path}}..."),
        (r"in \\server\alice", "in {{path}}..."),
        ("site-packages/litellm/main.py:3 x", "site-packages/litellm/main.py:3 x"),
        ("read / write, 3/4, v0.9.9 - v2.6", "read / write, 3/4, v0.9.9 - v2.6"),
        ("two\nlines\x1b[31m", "two lines\\x1b[31m"),
    ],
)
def test_only_paths_below_the_host_are_told(told: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    places = {"root": "/srv/agent zero", "home": "/home/alice", "state": "/var/lib/of alice"}
    config = Config.from_environ({"AUTOPERF_HOME": places["state"]})
    paths = bug_report.Paths(Path(places["root"]), HEALTHY, config)
    assert paths.cut(told.format(**places)) == shown.format()


def test_findings_that_may_quote_are_told_by_topic() -> None:
    topics = ["interpreter", "host", "advice", "configuration", "last run"]
    found = [Finding(level, topic, f"{topic} text") for topic in topics for level in ("note", "problem")]
    subject = bug_report.Subject(None, None, "", [], [], found, Config.from_environ({}), {})
    told = section(bug_report.report(subject), "Findings")
    whole = [f"* {level}: {topic} text" for topic in topics[:2] for level in ("note", "problem")]
    assert told[:4] == whole
    assert [line.partition(";")[0] for line in told[4:]] == ["* problem: advice", "* problem: configuration"]
