"""Nothing that was said, asked, answered or hidden leaves: not in a span, a record, a file, a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from tests.collector import HttpCollector

TESTS = Path(__file__).resolve().parents[1]
AGENT = TESTS.parent / "examples" / "mini_agent"
TEMPLATE = TESTS.parent / "sitecustomize_template"
HOSTS = ["v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2"]
MARKER = "MARKER"
SECRET = "MARKER-hidden-secret"


def environment(home: Path, endpoint: str, **more: str) -> dict[str, str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    return {
        **clean,
        "PYTHONPATH": str(TESTS.parent),
        "AUTOPERF_HOME": str(home),
        "AUTOPERF_DETAIL": "all",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        **more,
    }


def run(command: list[Any], env: dict[str, str]) -> str:
    """What the process wrote to stderr."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def stored(home: Path) -> tuple[list[dict[str, Any]], str]:
    """Every span of the store, and everything in it as one text."""
    with Store.open(home) as store:
        spans = [span for trace in store.traces(1000) for span in store.spans(trace["trace_id"])]
        everything = [spans, store.traces(1000), store.processes()]
    return spans, json.dumps(everything, default=str, ensure_ascii=False)


def files(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_private_leaves(host: str, tmp_path: Path) -> None:
    with HttpCollector() as collector:
        output = run(
            [TESTS / "privacy_process.py", TESTS / "hosts" / host], environment(tmp_path, collector.endpoint)
        )
    spans, everything = stored(tmp_path)
    assert MARKER not in output
    assert MARKER not in everything
    for name, content in files(tmp_path).items():
        assert MARKER.encode() not in content, name
        assert MARKER not in name
    assert collector.spans
    assert MARKER not in json.dumps([collector.spans, collector.resources], default=str)
    # All of it was there to be told.
    found = {span["name"].partition(" ")[0] for span in spans}
    wanted = {
        names.EXECUTE_TOOL,
        names.TOOL_LOOKUP,
        names.MCP_SESSION,
        names.MCP_CONNECT,
        names.MEMORY_RECALL,
    }
    assert found >= {*wanted, names.MCP_TOOLS_CALL, names.COMPRESS_HISTORY}
    errors = {span["attributes"].get(names.ERROR_TYPE) for span in spans}
    assert errors >= {"ValueError", "ConnectionError"}
    tools = {span["attributes"].get(names.TOOL_NAME) for span in spans}
    assert tools >= {
        "echo",
        "recalls",
        "shows",
        "fails",
        "srv.one",
        "srv.fails",
        "call_subordinate",
        "(unknown)",
    }
    home = os.path.expanduser("~")
    for span in spans:
        for key, value in span["attributes"].items():
            texts = value if isinstance(value, list) else [value]
            for text in texts:
                assert not str(text).startswith(("/", home)), f"{key} is a path of this machine: {text}"


@pytest.mark.parametrize("host", ["v0_9_8", "v0_9_9", "v2"])
def test_what_is_asked_for_is_captured_masked_and_cut(host: str, tmp_path: Path) -> None:
    asked = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true", "AUTOPERF_CONTENT_LIMIT": "200"}
    with HttpCollector() as collector:
        output = run(
            [TESTS / "privacy_process.py", TESTS / "hosts" / host],
            environment(tmp_path, collector.endpoint, **asked),
        )
    spans, everything = stored(tmp_path)
    sent = json.dumps([collector.spans, collector.resources], default=str)
    for text in (output, everything, sent, *(str(content) for content in files(tmp_path).values())):
        assert SECRET not in text
    tools = [span["attributes"] for span in spans if span["name"].startswith(names.EXECUTE_TOOL)]
    told = {
        (tool[names.TOOL_NAME], tool[names.TOOL_ARGUMENTS]): tool.get(names.TOOL_RESULT) for tool in tools
    }
    assert told["echo", '{"text": "MARKER-argument"}'] == "echo/None: MARKER-argument"
    alias = "§§secret(AUTOPERF_TOKEN)"
    assert told["echo", json.dumps({"text": alias}, ensure_ascii=False)] == f"echo/None: {alias}"
    assert told["fails", '{"text": "MARKER-argument"}'] is None
    shown = told["shows", '{"text": "MARKER-argument"}']
    assert shown.startswith("MARKER-result long long")
    assert len(shown) == 200
    for span in spans:
        kept = {key: value for key, value in span["attributes"].items() if key not in names.CONTENT}
        assert MARKER not in json.dumps([span["name"], kept]), "exception texts and names are no content"


def test_nothing_of_a_whole_conversation_leaves(tmp_path: Path) -> None:
    """Not one sentence that is in the mini agent's transcript."""
    transcript = tmp_path / "transcript.json"
    home = tmp_path / "home"
    with HttpCollector() as collector:
        env = environment(
            home, collector.endpoint, PYTHONPATH=os.pathsep.join([str(TEMPLATE), str(TESTS.parent)])
        )
        run([AGENT / "run_ui.py", "--transcript", transcript], env)
    sentences = said(json.loads(transcript.read_text(encoding="utf-8")))
    assert len(sentences) > 50
    spans, everything = stored(home)
    assert len(spans) > 50
    sent = json.dumps([collector.spans, collector.resources], default=str, ensure_ascii=False)
    assert collector.spans
    for sentence in sentences:
        assert sentence not in everything
        assert sentence not in sent


def said(transcript: dict[str, Any]) -> set[str]:
    """Every text of the agents' histories that has words enough to be told from a name."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, str):
            found.update(line.strip() for line in value.splitlines() if len(line.split()) >= 3)

    collect([agent["history"] for agent in transcript["agents"]])
    return found
