"""`autoperf benchmark`: what it prints was measured, and a checkout that is none is one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf import cli
from autoperf.benchmark import launching, seam_times

REPOSITORY = Path(__file__).resolve().parents[1]


def test_the_launcher_is_timed_against_a_plain_exec(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "ROUNDS", 2)
    assert cli.main(["benchmark", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["launcher"]
    assert shown["rounds"] == 2
    assert shown["added_ms"] == pytest.approx(shown["autoperf_ms"] - shown["plain_ms"])
    assert shown["ratio_to_python"] == pytest.approx(shown["autoperf_ms"] / shown["python_ms"])
    assert min(shown["bystander"].values()) > 0


@pytest.mark.parametrize("what", ["no/such/folder", "tests"])
def test_a_folder_that_is_no_checkout_is_one_line(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["benchmark", str(REPOSITORY / what), "--only", "seams"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("...")]
    assert len(lines) == 1
    assert "not an Agent Zero checkout" in lines[0]


def test_seams_are_timed_inside_the_host_with_and_without_autoperf(tmp_path: Path) -> None:
    host = tmp_path / "host"
    shutil.copytree(REPOSITORY / "examples" / "mini_agent", host)
    for point in (seam_times.EMPTY, seam_times.POINT):
        (host / "extensions" / "python" / point).mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "PYTEST_", "PYTHONPATH"))}
    path = os.pathsep.join([str(REPOSITORY / "sitecustomize_template"), str(REPOSITORY)])
    ours = {"PYTHONPATH": path, "AUTOPERF_HOME": str(tmp_path / "state"), "AUTOPERF_QUIET": "1"}
    script = [sys.executable, str(REPOSITORY / "autoperf" / "benchmark" / "seam_times.py")]
    times = []
    for environment in (clean, clean | ours):
        done = subprocess.run(script, cwd=host, env=environment, capture_output=True, check=True, timeout=120)
        times.append(json.loads(done.stdout))
    assert times[0].keys() == times[1].keys() >= {"handle_intervention, idle", "get_tool response"}
    assert min(*times[0].values(), *times[1].values()) > 0
    assert (tmp_path / "state").is_dir(), "the second run was instrumented"
