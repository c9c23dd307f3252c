"""What is said of the patches of one process: which features work, what is lost and what that costs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from autoperf.insight.facts.patches import COSTS, patches
from tests.interpreters import REPOSITORY

MEASURED = (REPOSITORY / "README.md", REPOSITORY / "docs" / "measurements.md")
# Rows of "Single seams" by the feature whose loss is put in numbers from them.
SEAMS = {
    "tools": ("get_tool response", "get_tool code_execution_tool"),
    "extensions": ("extension call, no extension",),
    "interventions": ("handle_intervention, idle",),
    "prompts": ("read_prompt, main",),
    "paths": ("get_paths",),
}


def row(feature: str, state: str) -> dict[str, Any]:
    return {"target": "agent:Agent.get_tool", "feature": feature, "state": state, "reason": "other code"}


@pytest.mark.parametrize("state", ["unrecognised", "failed"])
def test_a_monitor_without_its_patch_is_partly_off(state: str) -> None:
    found = patches({"patches": [row("monitor", state)], "features": ["monitor"]})
    assert {one.name: one.state for one in found.features}["monitor"] == "partly off"
    assert "monitor is partly off" in found.text


@pytest.mark.parametrize(
    ("monitor", "state"),
    [
        ({"running": False, "sample": {}}, "off"),
        ({"running": False, "sample": {"memory": 1}}, "on"),
        ({"running": True, "sample": {}}, "on"),
        ({}, "on"),
    ],
)
def test_a_monitor_that_never_ran_is_off(monitor: dict[str, Any], state: str) -> None:
    found = patches({"patches": [], "features": ["monitor"], "monitor": monitor})
    assert {one.name: one.state for one in found.features}["monitor"] == state
    off = patches({"patches": [], "features": [], "monitor": monitor})
    assert {one.name: one.state for one in off.features}["monitor"] == "off by option"


def test_a_patch_that_could_not_be_taken_back_names_its_way_out() -> None:
    (problem,) = patches({"patches": [row("tools", "inert")]}).problems
    assert problem.endswith("; to leave it out: AUTOPERF_FEATURES=-tools or AUTOPERF_DISABLED=1")


@pytest.mark.parametrize("feature", SEAMS)
def test_what_a_loss_costs_is_what_was_measured(feature: str) -> None:
    table = "\n".join(file.read_text(encoding="utf-8") for file in MEASURED)
    ratios = []
    for seam in SEAMS[feature]:
        cells = re.findall(rf"^\| {re.escape(seam)} \| (.*) \|$", table, re.MULTILINE)[0].split(" | ")
        # The columns with inotify; below 1 nothing is lost.
        ratios += [float(re.findall(r"\*\*([0-9.]+)x\*\*", cell)[0]) for cell in cells[::2]]
    told = [
        int(number) for number in re.findall(r"takes (\d+)(?: to (\d+))? times", COSTS[feature])[0] if number
    ]
    gains = [round(ratio) for ratio in ratios if ratio > 1]
    assert told == sorted({min(gains), max(gains)})
