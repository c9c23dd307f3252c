"""What our spans are called and what they carry, held against the conventions by table."""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import autoperf
from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store
from tests.conventions import ATTRIBUTES, FOR_SAMPLING, RULES, SPAN_NAMES, operation, violations

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]
PACKAGE = Path(autoperf.__file__).resolve().parent
MINI_AGENT = str(TESTS.parent / "examples" / "mini_agent" / "run_ui.py")
HOSTS = ("v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2")
SCENARIOS = (
    "tool_repairable_plain", "tool_critical_plain", "tool_method", "tool_group", "mcp_servers",
    "name_unknown", "subordinate_of_subordinate", "intervention_in_tool", "pause_in_tool",
    "raises_in_system_prompt_critical", "two_chats_streaming",
)  # fmt: skip
# Native function calls, and tools side by side, exist in one generation only.
MORE = {"v2": ("three_paths", "parallel_raises")}


class Run(NamedTuple):
    """What was stored, as name, kind and attributes; what the sampler was told, as name and attributes."""

    stored: list[tuple[str, str, dict[str, Any]]]
    sampled: list[tuple[str, dict[str, Any]]]


def run(folder: Path, *command: str) -> Run:
    """``command`` under the bootstrap, with a sampler that writes down what it sees."""
    told, state = folder / "sampled", folder / "state"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTHON"))}
    path = os.pathsep.join([str(TESTS.parent / "sitecustomize_template"), str(TESTS.parent)])
    done = subprocess.run(
        [sys.executable, str(TESTS / "sampled_process.py"), str(told), *command],
        env={**clean, "PYTHONPATH": path, "AUTOPERF_HOME": str(state), "AUTOPERF_DETAIL": "all"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sampled = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    with Store.open(state) as store:
        traces = store.traces(limit=10_000)
        spans = [span for trace in traces for span in store.spans(trace["trace_id"])]
    stored = [(span["name"], span["kind"], span["attributes"]) for span in spans]
    return Run(stored, [(name, attributes) for name, attributes in sampled])


@pytest.fixture(scope="module", params=["mini_agent", *HOSTS])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "mini_agent":
        return run(folder, MINI_AGENT, "--messages", "1", "--tools", "11")
    look_alike = str(TESTS / "hosts" / request.param)
    scenarios = (*SCENARIOS, *MORE.get(request.param, ()))
    return run(folder, str(TESTS / "hosts" / "drive.py"), look_alike, str(folder / "out.json"), *scenarios)


def test_every_name_is_in_the_table_and_every_required_attribute_there(host: Run) -> None:
    assert violations(host.stored) == []


def test_a_run_shows_every_operation_that_there_are_rules_for(host: Run) -> None:
    assert {operation(name) for name, _, _ in host.stored} >= RULES.keys()


@pytest.mark.parametrize("kind", sorted(FOR_SAMPLING))
def test_what_sampling_needs_is_there_when_a_span_is_created(host: Run, kind: str) -> None:
    spans = [attributes for name, attributes in host.sampled if operation(name) == kind]
    assert spans
    missing = [FOR_SAMPLING[kind] - attributes.keys() for attributes in spans]
    assert [sorted(keys) for keys in missing if keys] == []


def test_a_failed_operation_names_its_error(host: Run) -> None:
    """And nothing that did not fail does; the error's text is nowhere."""
    assert any(names.ERROR_TYPE in attributes for _, _, attributes in host.stored)
    assert not [
        a for _, _, a in host.stored if not {"exception.message", "exception.stacktrace"}.isdisjoint(a)
    ]


def test_the_slowest_callback_is_named_by_its_extension(host: Run) -> None:
    chats = [attributes for name, _, attributes in host.stored if operation(name) == names.CHAT]
    told = [chat[names.CALLBACK_SLOWEST_POINT] for chat in chats if names.CALLBACK_SLOWEST_POINT in chat]
    assert {point for point in told if "stream" in point}
    assert any(chat.get(names.CALLBACK_SLOWEST_EXTENSION) for chat in chats)


def test_violations_are_found() -> None:
    """The check itself: each of these breaks one rule."""
    good = {names.OPERATION_NAME: "execute_tool", names.TOOL_NAME: "t", names.TOOL_TYPE: "function"}
    assert violations([("execute_tool t", "internal", good)]) == []
    assert violations([("execute_tool t", "client", good)]) == ["execute_tool t: kind client, not internal"]
    assert len(violations([("execute_tool other", "internal", good)])) == 1
    assert len(violations([("execute_tool t", "internal", {**good, "gen_ai.made.up": 1})])) == 1
    assert len(violations([("made_up t", "internal", {})])) == 1
    del good[names.TOOL_TYPE]
    assert violations([("execute_tool t", "internal", good)]) == [
        "execute_tool t: gen_ai.tool.type is missing"
    ]


def test_the_table_holds_what_it_is_taken_for() -> None:
    assert {"gen_ai.operation.name", "error.type", "autoperf.cache.hit"} <= ATTRIBUTES
    assert {"invoke_agent", "execute_tool", "chat", "tool_lookup"} <= SPAN_NAMES
    assert not SPAN_NAMES & {"internal", "client", "agent-zero"}


# In the conventions, but not yet in the package that spells them out.
_NOT_IN_THE_PACKAGE = {"gen_ai.execute_tool.duration", "gen_ai.invoke_agent.duration"}


def conventional() -> set[str]:
    """Every attribute and metric that OpenTelemetry's own package of conventions spells out."""
    found: set[str] = set()
    for folder in ("_incubating.attributes", "_incubating.metrics", "attributes"):
        try:
            package = importlib.import_module(f"opentelemetry.semconv.{folder}")
        except ImportError:  # the oldest supported SDK comes with fewer
            continue
        for module in pkgutil.iter_modules(package.__path__):
            spelt = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
            found |= {value for value in spelt.values() if isinstance(value, str)}
    return found


def test_names_that_are_not_ours_are_those_of_the_conventions() -> None:
    known = conventional()
    if names.TIME_TO_FIRST_CHUNK not in known:
        pytest.skip("the conventions installed here are older than the names")
    theirs = {text for text in ATTRIBUTES if not text.startswith("autoperf.")}
    assert len(theirs) > 30
    assert theirs - known == _NOT_IN_THE_PACKAGE


_KEY = re.compile(r"(gen_ai|autoperf)(\.[a-z_]+)+")
_FILE = re.compile(r"autoperf\.(db|pth|start)")


def keys_in(source: str) -> list[str]:
    """The string literals of a Python source that read like an attribute key of ours."""
    nodes = list(ast.walk(ast.parse(source)))
    # What a fence is called may read the same.
    fences = [node.args for node in nodes if isinstance(node, ast.Call) and _called(node) == "guarded"]
    labels = {id(argument) for arguments in fences for argument in arguments}
    constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in labels]
    texts = [node.value for node in constants if isinstance(node.value, str)]
    return [text for text in texts if text in ATTRIBUTES or (_KEY.fullmatch(text) and not _elsewhere(text))]


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _elsewhere(text: str) -> bool:
    """Whether this is the name of a module or of a file."""
    path = PACKAGE.joinpath(*text.split(".")[1:])
    module = text.startswith("autoperf.") and (path.is_dir() or path.with_suffix(".py").is_file())
    return module or _FILE.fullmatch(text) is not None


def test_no_other_file_spells_an_attribute_out() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "telemetry" / "names.py"]
    assert len(files) > 50
    spelt = {str(path.relative_to(PACKAGE)): keys_in(path.read_text(encoding="utf-8")) for path in files}
    assert {path: keys for path, keys in spelt.items() if keys} == {}


def test_spelt_out_attributes_are_found() -> None:
    assert keys_in("span.set('gen_ai.tool.name', 1)") == ["gen_ai.tool.name"]
    assert keys_in("with guarded('service.name'): resource['service.name']") == ["service.name"]
    assert keys_in(
        "KEY = 'autoperf.made_up'; f'{x} error.type'; import_module('autoperf.cli.verbs.run')"
    ) == ["autoperf.made_up"]
