"""Every generation's model calls become chat spans, where that generation keeps them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autoperf.telemetry import names
from autoperf.telemetry.store.store import Store

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[3]
PATHS = [str(TESTS.parent / "sitecustomize_template"), str(TESTS.parent)]
MINI_AGENT = TESTS.parent / "examples" / "mini_agent" / "run_ui.py"


def chats(folder: Path, *command: Any) -> list[dict[str, Any]]:
    """The chat spans of a command that runs instrumented, in order of time."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    environment = {**kept, "PYTHONPATH": os.pathsep.join(PATHS), "AUTOPERF_HOME": str(folder)}
    subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    with Store.open(folder) as store:
        found = [span for trace in store.traces(100) for span in store.spans(trace["trace_id"])]
        assert not [record["failures"] for record in store.processes() if record["failures"]]
    return [span for span in found if span["name"].startswith("chat")]


@pytest.mark.parametrize("host", ["v0_8", "v0_9_3", "v0_9_8", "v0_9_9", "v2"])
def test_a_look_alike(host, tmp_path):
    driver = TESTS / "hosts" / "drive.py"
    spans = chats(tmp_path, driver, TESTS / "hosts" / host, tmp_path / "told.json", "stateless")
    assert spans
    for span in spans:
        found = span["attributes"]
        assert span["status"] != "error"
        assert found[names.OPERATION_NAME] == "chat"
        assert found[names.MODEL_ROLE] == "chat"
        assert found[names.PROVIDER_NAME]
        assert found[names.AGENT_NAME]
        assert found[names.REQUEST_STREAM] is True
        assert found[names.CHUNKS] >= 1
        assert 0 < found[names.CALLBACK_SLOWEST] <= found[names.CALLBACK_SECONDS]
        assert names.OUTPUT_TOKENS not in found
    slowest = {span["attributes"].get(names.CALLBACK_SLOWEST_POINT) for span in spans}
    assert slowest & {"response_stream", "response_stream_chunk"}
    assert any(span["attributes"].get(names.CALLBACK_SLOWEST_EXTENSION) for span in spans)


def test_the_mini_agent_whose_model_says_what_it_costs(tmp_path):
    spans = chats(tmp_path, MINI_AGENT, "--transcript", tmp_path / "told.json")
    assert {span["name"] for span in spans} == {"chat mini-1"}
    for span in spans:
        found = span["attributes"]
        assert found[names.PROVIDER_NAME] == "scripted"
        assert found[names.INPUT_TOKENS] > found[names.OUTPUT_TOKENS] > 0
        assert found[names.FINISH_REASONS] in (["stop"], ["tool_calls"])
