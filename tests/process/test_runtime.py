"""Instrument and undo, in a fresh process for each look-alike host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lossless.test_lossless import HOSTS

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]


def act(host: str, case: str, home: Path, **more: str) -> tuple[dict[str, Any], list[str]]:
    """What runtime_process.py told, and its lines on stderr."""
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    done = subprocess.run(
        [sys.executable, TESTS / "runtime_process.py", TESTS / "hosts" / host, case],
        env={**clean, "PYTHONPATH": str(TESTS.parent), "AUTOPERF_HOME": str(home), **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert set(told["answers"]) == {"done"}
    return told, done.stderr.splitlines()


@pytest.mark.parametrize("host", HOSTS)
def test_undone_to_the_identical_objects_as_often_as_one_likes(host: str, tmp_path: Path) -> None:
    told, lines = act(host, "after", tmp_path)
    assert all(count >= 5 for count in told["changed"]), told["changed"]
    assert told["left"] == told["copies_left"] == [[], []]
    assert (told["again"], told["none"], told["finders"], told["threads"]) == (True, True, [], [])
    assert [lookups for lookups, _ in told["counts"]] == [4, 4], "each runtime counts from nothing"
    starts = [line for line in lines if "patches" in line]
    assert len(starts) == len(lines) == 2, lines
    assert told["snapshot"]["host"]["version"] in lines[0]
    assert not told["snapshot"]["failures"]


@pytest.mark.parametrize("host", HOSTS)
def test_instrumented_first_every_seam_and_copy_is_reached(host: str, tmp_path: Path) -> None:
    told, lines = act(host, "before", tmp_path, AUTOPERF_QUIET="1")
    missing = {target for target, (state, _) in told["states"].items() if state != "applied"}
    # The look-alikes have words of their own for what is known by its very source.
    assert missing <= {"agent:Agent._execute_tool_request", "python.helpers.files:get_base_dir"}, told[
        "states"
    ]
    assert told["unpatched_copies"] == []
    assert told["placed"]
    assert told["left"] == told["copies_left"] == []
    assert lines == [], "quiet is quiet"


@pytest.mark.parametrize("host", HOSTS)
def test_undone_and_done_again_within_a_turn(host: str, tmp_path: Path) -> None:
    told, _ = act(host, "running", tmp_path, AUTOPERF_QUIET="1")
    assert told["left"] == [[], []]


@pytest.mark.parametrize("host", ["v0_8", "v0_9_8", "v2"])
def test_what_the_host_put_there_at_run_time_stays(host: str, tmp_path: Path) -> None:
    told, lines = act(host, "removed", tmp_path, AUTOPERF_QUIET="1")
    assert told["kept"]
    assert told["absent"]
    assert told["states"] == ["inert", "inert"]
    assert lines == []
