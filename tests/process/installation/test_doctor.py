"""Doctor: every kind of trouble it knows, found in a setting that has it, and none where there is none."""

from __future__ import annotations

import json
import socket
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoperf import cli
from autoperf.process.config import Config
from autoperf.process.installation import doctor
from autoperf.process.installation.interpreter import Interpreter
from autoperf.telemetry.export import endpoint
from tests.cli.test_cli import RECORD, recorded  # noqa: F401 - a fixture
from tests.interpreters import REPOSITORY, TEMPLATE

HEALTHY = Interpreter(
    executable="/opt/venv/bin/python",
    version=(3, 12, 4),
    prefix="/opt/venv",
    site_packages=None,
    autoperf="/opt/venv/lib/autoperf/__init__.py",
    has_pip=True,
    sitecustomize=None,
    missing=(),
    reached=False,
)


def levels(found: Iterator[doctor.Finding] | list[doctor.Finding], level: str = "problem") -> list[str]:
    return [finding.text for finding in found if finding.level == level]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the host's shape, with doubles for the parts that read it."""
    root = tmp_path / "host"
    (root / "helpers").mkdir(parents=True)
    (root / "agent.py").write_text("class Agent: ...\n")
    seams = [
        SimpleNamespace(
            target="agent:Agent.get_tool", present=True, reason="", lost=False, features=("tools",)
        ),
        SimpleNamespace(
            target="helpers.mcp:X.get", present=False, reason="no class X", lost=False, features=("mcp",)
        ),
    ]
    agentzero = types.ModuleType("autoperf.instrumentation.agentzero")
    layout = SimpleNamespace(name="v0_9_9", generation="v0.9.9 - v2.6")
    known = {"detect": lambda root: layout if "Agent" in (root / "agent.py").read_text() else None}
    vars(agentzero).update(
        known,
        survey=lambda root, layout: seams,
        explain=lambda root: ["not v1: no class"],
        version=lambda root, layout: "v1.7",
    )
    monkeypatch.setitem(sys.modules, "autoperf.instrumentation.agentzero", agentzero)
    return root


def test_a_healthy_interpreter_is_no_problem() -> None:
    found = list(doctor.interpreter(HEALTHY, {}))
    assert levels(found) == []
    assert "autoperf run" in levels(found, "note")[0]


@pytest.mark.parametrize(
    ("changes", "environ", "said"),
    [
        ({"autoperf": None}, {}, "lacks autoperf; install it with: /opt/venv/bin/python -m pip install"),
        ({"autoperf": None, "has_pip": False}, {}, "uv pip install --python /opt/venv/bin/python"),
        ({"missing": ("wrapt",)}, {}, "cannot load autoperf (No module named 'wrapt')"),
        ({"version": (3, 9, 1)}, {}, "is Python 3.9; autoperf needs 3.10 or newer"),
        ({}, {"AUTOPERF_DISABLED": "1"}, "AUTOPERF_DISABLED=1 switches autoperf off"),
        (
            {"sitecustomize": "/x/sitecustomize.py"},
            {"PYTHONPATH": str(TEMPLATE)},
            "after /x/sitecustomize.py",
        ),
    ],
)
def test_an_interpreter_in_trouble(changes: dict[str, Any], environ: dict[str, str], said: str) -> None:
    python = Interpreter(**{**vars(HEALTHY), **changes})
    (problem,) = levels(doctor.interpreter(python, environ))
    assert said in problem


def test_the_bootstrap_on_pythonpath_is_seen() -> None:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{TEMPLATE}:{REPOSITORY}"}
    python, found = doctor.probed(sys.executable, environ)
    assert python is not None
    assert python.reached
    assert any("is on PYTHONPATH (python -S" in text for text in levels(found, "ok"))
    missing, found = doctor.probed("no-such-python", environ)
    assert missing is None
    assert "no such Python" in levels(found)[0]


def test_seams_are_listed_and_a_missing_one_is_named(host: Path) -> None:
    layout, found, seams = doctor.host(host)
    assert layout is not None
    assert levels(found) == []
    assert levels(found, "note") == ["helpers.mcp:X.get is left alone: no class X"]
    assert [seam["present"] for seam in seams] == [True, False]


def test_a_folder_that_is_no_host(host: Path, tmp_path: Path) -> None:
    assert "no Agent Zero in" in levels(doctor.host(tmp_path)[1])[0]
    (host / "agent.py").write_text("x = 1\n")
    _, found, _ = doctor.host(host)
    assert "defines no layout" in levels(found)[0]
    assert levels(found, "note") == ["not v1: no class"]


def test_a_syntax_that_this_python_cannot_read(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "helpers" / "extension.py").write_text("type X = int\nlater x = 1\n")
    monkeypatch.setattr(doctor, "_parses", lambda python, path: python.endswith("venv/bin/python"))
    (text,) = levels(doctor.host(host)[1])
    assert "helpers/extension.py cannot be read by Python" in text
    assert "use a newer Python" in text
    (host / ".venv" / "bin").mkdir(parents=True)
    (host / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (text,) = levels(doctor.host(host)[1])
    assert f"its syntax is newer: run {host}/.venv/bin/python -m autoperf doctor {host}" in text


@pytest.mark.parametrize(
    "source", ["x = " + "-" * 200_000 + "1\n", "(" * 5000 + "\n"], ids=["deep", "nested"]
)
def test_a_source_too_deep_for_the_parser_is_a_finding(host: Path, source: str) -> None:
    (host / "agent.py").write_text(source)
    (text,) = levels(doctor.host(host)[1])
    assert "agent.py cannot be read by Python" in text


def test_an_interpreter_really_parses_for_us(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text("later x = 1\n")
    assert doctor._parses(sys.executable, tmp_path / "good.py")
    assert not doctor._parses(sys.executable, tmp_path / "bad.py")
    assert not doctor._parses("/no/such/python", tmp_path / "good.py")


def test_an_interpreter_beside_the_host_is_pointed_at(tmp_path: Path) -> None:
    assert list(doctor.other_interpreter(tmp_path, HEALTHY)) == []
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (hint,) = levels(doctor.other_interpreter(tmp_path, HEALTHY), "note")
    assert f"look with --python {tmp_path}/.venv/bin/python" in hint
    same = Interpreter(**{**vars(HEALTHY), "prefix": str(tmp_path / ".venv")})
    assert list(doctor.other_interpreter(tmp_path, same)) == []


def test_options_that_mean_nothing(tmp_path: Path) -> None:
    environ = {"AUTOPERF_FEATURE": "tools", "AUTOPERF_TOOL_CACHE_SIZE": "0", "AUTOPERF_HOME": str(tmp_path)}
    found = list(doctor.configuration(Config.from_environ(environ), environ))
    bad, misspelt = levels(found)
    assert "AUTOPERF_TOOL_CACHE_SIZE='0' is ignored" in bad
    assert misspelt == "AUTOPERF_FEATURE is not an option of autoperf; did you mean AUTOPERF_FEATURES?"
    assert levels(found, "ok") == [f"the local store can be written: {tmp_path}"]


def test_a_state_directory_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environ = {"AUTOPERF_HOME": str(tmp_path / "file" / "state"), "PYTHONDONTWRITEBYTECODE": "1"}
    found = list(doctor.configuration(Config.from_environ(environ), environ))
    assert "cannot be written" in levels(found)[0]
    assert "PYTHONDONTWRITEBYTECODE" in levels(found, "note")[0]


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_exporter_that_answers_and_one_that_does_not(listening: int) -> None:
    variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
    answers = list(doctor.telemetry({variable: f"http://user:secret@127.0.0.1:{listening}"}))
    assert levels(answers) == []
    assert "secret" not in answers[0].text
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    (problem,) = levels(doctor.telemetry({variable: f"http://127.0.0.1:{free}"}))
    assert "does not answer: connection refused" in problem
    assert levels(doctor.telemetry({})) == []
    off = doctor.telemetry({variable: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"})
    assert levels(off, "note") == ["no spans, nor any in the local store: OTEL_SDK_DISABLED=true"]


@pytest.mark.parametrize(
    ("url", "grpc", "said"),
    [
        ("http://h:4317", False, "port 4317 speaks gRPC"),
        ("http://h:4318", True, "port 4318 speaks HTTP"),
        ("http://h:4317", True, None),
        ("http://h:4318/v1/traces", False, None),
        ("http://u:p@h:port", True, "http://h:port cannot be used"),
        ("/v1/traces", True, "names no host"),
    ],
)
def test_ports_and_protocols_that_do_not_match(url: str, grpc: bool, said: str | None) -> None:
    mistake = endpoint.mistaken(endpoint.Endpoint(url, grpc))
    assert (mistake is None) if said is None else (mistake is not None and said in mistake)


@pytest.mark.parametrize(
    ("url", "grpc", "port"),
    [("localhost", True, 4317), ("localhost:9", True, 9), ("https://h", False, 443), ("h", False, 4318)],
)
def test_the_port_that_is_meant(url: str, grpc: bool, port: int) -> None:
    assert endpoint.Endpoint(url, grpc).address[1] == port


def test_a_protocol_that_contradicts_its_port_is_found_in_the_environment() -> None:
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318"}
    assert "speaks HTTP" in levels(doctor.telemetry({**environ, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}))[0]
    thrift = levels(doctor.telemetry({**environ, "OTEL_EXPORTER_OTLP_PROTOCOL": "thrift"}))
    assert "protocol thrift is not supported" in thrift[0]


def test_the_last_run_with_that_root_is_told(host: Path) -> None:
    row = {**RECORD, "host": {"root": str(host), "version": "v1.7"}}
    last, found = doctor.experience(host, [RECORD, row], host)
    assert last is not None
    assert last.record is row
    assert levels(found, "ok") == [
        "process 4194304 ended after 3 min; Agent Zero v1.7; 1 of 2 patches: mcp is off (autoperf doctor)"
    ]
    assert levels(found, "note") == [
        "spans to http://h:4318/v1/traces: 3 lost",
        "metrics to http://h:4318/v1/metrics: takes no metrics",
        "1 collections of metrics were dropped",
    ]
    assert levels(found, "loss") == [
        "mcp is off; not so here: MCP tool names are looked up in an index instead of a scan",
        "helpers.x:y is failed: AttributeError: y; "
        "to leave it out: AUTOPERF_FEATURES=-mcp or AUTOPERF_DISABLED=1",
    ]
    assert levels(found) == [
        "agent:Agent.get_tool failed 2 times: KeyError: 1; to leave it out: AUTOPERF_DISABLED=1",
    ]
    last, found = doctor.experience(host, [RECORD], host)
    assert last is None
    assert levels(found, "note") == [doctor.NOT_RUN]


GENERATIONS = {"v0_8": "v0_8", "v0_9_3": "v0_9_3", "v0_9_8": "v0_9_3", "v0_9_9": "v0_9_9", "v2": "v0_9_9"}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_look_alikes_are_recognised_from_their_source(generation: str) -> None:
    layout, found, seams = doctor.host(REPOSITORY / "tests" / "hosts" / generation)
    assert layout is not None
    assert layout.name == GENERATIONS[generation]
    assert levels(found) == []
    assert sum(seam["present"] for seam in seams) > 5


def test_the_whole_report(
    host: Path,
    recorded: list[dict[str, Any]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "OTEL_EXPORTER_OTLP_ENDPOINT", "AUTOPERF_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    recorded.append({**RECORD, "host": {"root": str(host)}})
    home = str(host.parent / "state")
    assert cli.main(["doctor", str(host), "--home", home]) == 1
    text = capsys.readouterr().out
    assert all(len(line) <= 80 or "/" in line for line in text.splitlines())
    assert "- helpers.mcp:X.get is left alone: no class X" in text
    assert "agent:Agent.get_tool" in text
    assert cli.main(["doctor", str(host), "--home", home, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["host"]["layout"] == "v0_9_9"
    assert report["interpreter"]["executable"] == sys.executable
    assert {row["option"]: row["source"] for row in report["configuration"]}["home"] == "argument"

    recorded.clear()
    assert cli.main(["doctor", str(host), "--home", home]) == 0
    out = capsys.readouterr().out
    assert out.endswith("nothing is known to be broken; no run of a host was looked at\n")
    assert "no run with this host is known" in out
    assert not Path(home).exists()


def test_a_store_that_cannot_be_read_is_one_finding_of_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "autoperf.db").write_text("not a database, whatever it says")
    host = REPOSITORY / "tests" / "hosts" / "v2"
    assert cli.main(["doctor", str(host), "--home", str(tmp_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert any("autoperf.db cannot be read" in finding["text"] for finding in report["findings"])
    assert report["host"]["layout"] == "v0_9_9"
