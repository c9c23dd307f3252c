"""The real Agent Zero of every generation, bare and under ``autoperf run``: the transcripts are equal.

``AUTOPERF_AGENT_ZERO`` names a folder of checkouts, each with its requirements and autoperf in its ``.venv``;
without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from autoperf.benchmark.checkout import Run, interpreter
from autoperf.benchmark.comparison import Comparison, compare
from autoperf.benchmark.conversation import CONVERSATIONS, Conversation, tools
from autoperf.benchmark.process import HostProcess

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)


def autoperf_of(checkout: Path) -> str:
    """The ``autoperf`` beside a checkout's interpreter, else the one on PATH."""
    beside = Path(interpreter(checkout)).with_name("autoperf")
    found = str(beside) if beside.exists() else shutil.which("autoperf")
    if not found:
        pytest.skip(f"autoperf is installed neither in the .venv of {checkout.name} nor on PATH")
    return found


def compared(checkout: Path, conversation: Conversation, workdir: Path) -> Comparison:
    """The conversation bare, then under ``autoperf run``, with the live status of the second run observed."""
    autoperf = autoperf_of(checkout)
    home = workdir / "autoperf-home"

    def observe(process: HostProcess) -> Any:
        environment = {**os.environ, "AUTOPERF_HOME": str(home)}
        command = [autoperf, "status", "--json"]
        shown = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return json.loads(shown.stdout) if shown.returncode == 0 else shown.stderr

    return compare(
        checkout, conversation, workdir, [autoperf, "run", "--home", str(home)], observe=observe, extra_env={}
    )


def check_status(run: Run) -> None:
    """Hook: what ``autoperf status --json`` (``run.observed``) must say of hit rates and applied seams."""
    assert isinstance(run.observed, dict), f"autoperf status --json failed: {run.observed}"


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_two_messages_of_twenty_tool_calls(checkout: Path, tmp_path: Path) -> None:
    result = compared(checkout, tools(count=20, rounds=2), tmp_path)
    assert [turn.answer.status for turn in result.first.turns] == [200, 200]
    assert len([request for request in result.first.requests if request.model.endswith("chat")]) == 42
    assert result.differences == []
    assert result.second.exit_status == result.first.exit_status
    check_status(result.second)


@pytest.mark.parametrize("name", ["errors", "editing"])
@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_what_goes_wrong_and_what_changes(checkout: Path, name: str, tmp_path: Path) -> None:
    result = compared(checkout, CONVERSATIONS[name](), tmp_path)
    assert result.differences == []
