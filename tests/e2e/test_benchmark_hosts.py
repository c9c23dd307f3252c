"""`autoperf benchmark` on the real Agent Zero of every generation; see `test_real_hosts` for the variable."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.benchmark.measure import run
from autoperf.benchmark.measure.rounds import BARE
from autoperf.benchmark.measure.run import Setting
from autoperf.benchmark.measure.samples import CLIENT, FRAMEWORK, GROWTH, PEAK, START_CPU
from autoperf.benchmark.model.pace import TENTHS
from autoperf.benchmark.scenarios.conversation import tools
from autoperf.benchmark.scenarios.scenario import SCENARIOS

FOLDER = os.environ.get("AUTOPERF_AGENT_ZERO", "")
CHECKOUTS = sorted(path.parent for path in Path(FOLDER).glob("*/run_ui.py")) if FOLDER else []
# To v0.9.1 the client is LangChain.
OTHER_CLIENT = ("v0.8", "v0.9.0", "v0.9.1")

pytestmark = pytest.mark.skipif(
    not CHECKOUTS, reason="AUTOPERF_AGENT_ZERO names no folder of Agent Zero checkouts"
)


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_short_and_start_in_every_api_of_the_model(checkout: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "autoperf", "benchmark", str(checkout), "--json", "--rounds", "1"]
    words += ["--scenario", "short", "--scenario", "start", "--provider", "both"]
    words += ["--plot", str(tmp_path / "picture.svg")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["scenarios"]
    providers = ["other", "openai"] if run.speaks_responses(checkout) else ["other"]
    assert [(one["scenario"], one["provider"]) for one in data] == [
        *(("short", provider) for provider in providers),
        ("start", "other"),
    ]
    for one in data:
        assert one["counts"].get("chunks", 0) >= one["counts"].get("steps", 0), "every reply was streamed"
        assert one["notes"] == [] or all("hung" in note for note in one["notes"])
        assert one["differences"] == {}
        assert one["failures"] == {}
        rows = {row["what"]: row["variants"] for row in one["rows"]}
        assert {START_CPU, PEAK} <= set(rows)
        assert all(variant["median"] > 0 for row in rows.values() for variant in row.values())
    assert data[0]["counts"] == {"messages": 2, "steps": 42, "chunks": data[0]["counts"]["chunks"]}
    assert data[0]["hit_rates"]["autoperf"]["tools, last message"]["median"] >= 0.95
    assert (tmp_path / "picture.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("checkout", CHECKOUTS, ids=lambda path: path.name)
def test_tenths_of_a_long_answer_and_the_client_alone(checkout: Path, tmp_path: Path) -> None:
    scenario = dataclasses.replace(SCENARIOS["huge"], conversation=lambda: tools(0, 1, 9_000))
    sample = run.hold(scenario, Setting(checkout, tmp_path), BARE)
    assert len(sample.tenths) == TENTHS
    assert min(sample.tenths) > 0
    assert sample.values[GROWTH] > 1, "every generation parses the growing reply from its beginning"
    if checkout.name.startswith(OTHER_CLIENT):
        assert any("no row for the model client" in note for note in sample.notes)
    else:
        assert 0 < sample.values[CLIENT] < sample.values["CPU"]
        assert sample.values[FRAMEWORK] == sample.values["CPU"] - sample.values[CLIENT]
