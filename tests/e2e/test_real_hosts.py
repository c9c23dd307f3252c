"""The real Agent Zero of every generation, bare and under ``autoperf run``: the transcripts are equal.

``AUTOPERF_AGENT_ZERO`` names a folder of checkouts, each with its requirements and autoperf in its ``.venv``;
without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from autoperf.benchmark.host.run import interpreter
from autoperf.benchmark.parts.instrumented import measure
from autoperf.benchmark.scenarios.conversation import tools
from tests.benchmarks.conversations.changes import CHANGES
from tests.benchmarks.conversations.situations import CONVERSATIONS, SECRET, SITUATIONS

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_two_messages_of_twenty_tool_calls(checkout: Path, tmp_path: Path) -> None:
    effect = measure(checkout, tools(count=20, rounds=2), tmp_path)
    result = effect.comparison
    assert [turn.answer.status for turn in result.first.turns] == [200, 200]
    assert len([request for request in result.first.requests if request.model.endswith("chat")]) == 42
    assert result.differences == []
    assert result.second.exit_status == result.first.exit_status
    assert effect.failures == []
    assert effect.patches_applied == effect.patches_wanted
    assert effect.hit_rates["tools"] >= 0.95
    assert effect.hit_rates["extensions"] >= 0.95


@pytest.mark.parametrize("name", ["errors", "editing"])
@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_what_goes_wrong_and_what_changes(checkout: Path, name: str, tmp_path: Path) -> None:
    effect = measure(checkout, CONVERSATIONS[name](), tmp_path)
    assert effect.comparison.differences == []
    assert effect.failures == []


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_installing_changes_no_version_of_the_hosts_packages(checkout: Path) -> None:
    pip = [interpreter(checkout), "-m", "pip"]
    repository = Path(__file__).resolve().parents[2]
    plan = [*pip, "install", "--dry-run", "--quiet", "--report", "-", str(repository)]
    report = json.loads(subprocess.run(plan, capture_output=True, check=True, timeout=300).stdout)
    listed = subprocess.run([*pip, "list", "--format", "json"], capture_output=True, check=True, timeout=120)
    installed = {package["name"].lower() for package in json.loads(listed.stdout)}
    planned = {item["metadata"]["name"].lower() for item in report["install"]}
    assert planned & installed <= {"autoperf"}


# The MCP client of v0.8 hangs in the bare host every few calls.
_HANGS = {"servers": "v0.8"}
_STABLE = ["interruptions", "secrets", "servers", "states", "overrides", "extensions", "implicit"]


@pytest.mark.parametrize("name", _STABLE)
@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_what_happens_meanwhile(checkout: Path, name: str, tmp_path: Path) -> None:
    if checkout.name.startswith(_HANGS.get(name, "(none)")):
        pytest.skip(f"the bare {checkout.name} does not always finish the conversation {name}")
    effect = measure(checkout, {**SITUATIONS, **CHANGES}[name](), tmp_path)
    assert effect.comparison.differences == []
    assert effect.failures == []
    if name == "secrets":
        stored = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
        assert SECRET.encode() not in stored


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_taken_back_while_a_tool_runs(checkout: Path, tmp_path: Path) -> None:
    comparison = measure(checkout, CHANGES["undone"](), tmp_path).comparison
    assert comparison.differences == []
    assert "as it was" in json.dumps(comparison.second.chat)


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_tools_side_by_side_as_native_function_calls(checkout: Path, tmp_path: Path) -> None:
    if not (checkout / "tools" / "parallel.py").is_file():
        pytest.skip(f"{checkout.name} has no parallel tools")
    effect = measure(checkout, SITUATIONS["parallel"](), tmp_path, provider="openai")
    assert effect.comparison.differences == []
    assert effect.failures == []
