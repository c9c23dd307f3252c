"""Every way a process ends or splits: what has been recorded survives, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.telemetry.store.store import Store
from tests.telemetry_process import PRELUDE, SOME_WORK, run, stored

pytestmark = pytest.mark.slow


def test_a_kill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    code = """
        with telemetry.span("done"): pass
        time.sleep(2.5)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run(code, tmp_path).returncode == -signal.SIGKILL
    assert [span["name"] for span in stored(tmp_path)] == ["done"]
    assert Store.open(tmp_path).processes()[0]["ended"] is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_its_own_record_and_repeats_nothing(tmp_path: Path) -> None:
    code = """
        with telemetry.span("before"): pass
        with telemetry.span("turn"):
            child = os.fork()
            if child == 0:
                with telemetry.span("in child"): pass
            else:
                os.waitpid(child, 0)
        with telemetry.span(f"after {child == 0}"): pass
    """
    assert run(code, tmp_path).returncode == 0
    spans = stored(tmp_path)
    assert sorted(span["name"] for span in spans) == [
        "after False",
        "after True",
        "before",
        "in child",
        "turn",
    ]
    by_name = {span["name"]: span for span in spans}
    assert by_name["in child"]["parent_id"] == by_name["turn"]["span_id"]
    assert by_name["in child"]["pid"] != by_name["turn"]["pid"] == by_name["before"]["pid"]
    records = Store.open(tmp_path).processes()
    assert {record["pid"] for record in records} == {span["pid"] for span in spans}
    assert all(record["ended"] for record in records)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_short_multiprocessing_children_lose_nothing(tmp_path: Path, method: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\n"
        + PRELUDE
        + "def work():\n    with telemetry.span('in child'): pass\n"
        + "if __name__ == '__main__':\n"
        + f"    child = multiprocessing.get_context('{method}').Process(target=work)\n"
        + "    child.start(); child.join(); print(child.exitcode)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", script, tmp_path / "state"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.stdout, result.stderr) == ("0\n", "")
    assert [span["name"] for span in stored(tmp_path / "state")] == ["in child"]


def test_a_store_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run(SOME_WORK, tmp_path / "file" / "state")
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert "traces are not kept" in result.stderr
    assert "; to leave it out: AUTOPERF_FEATURES=-trace or AUTOPERF_DISABLED=1\n" in result.stderr
