"""A Python built without sqlite3 or ctypes: the agent is patched, and what is missing is said once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINI = [sys.executable, str(ROOT / "examples/mini_agent/run_ui.py"), "--messages", "1", "--tools", "3"]
SAID = {
    "_sqlite3": "this Python was built without sqlite3",
    "_ctypes": "this Python was built without ctypes",
}


@pytest.mark.parametrize("missing", list(SAID))
def test_a_python_without_it_runs_the_agent_and_says_so(tmp_path: Path, missing: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AUTOPERF_")}
    environ |= {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        "AUTOPERF_HOME": str(tmp_path / "state"),
    }
    bare = subprocess.run(MINI, env=environ, capture_output=True, text=True, timeout=120, check=True)
    ours = subprocess.run(
        [sys.executable, "-m", "autoperf", "run", *MINI],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ours.returncode, ours.stdout) == (0, bare.stdout)
    assert "patches" in ours.stderr
    assert ours.stderr.count(SAID[missing]) == 1
    assert "host's own code runs instead" not in ours.stderr
    assert (tmp_path / "state/autoperf.db").exists() is (missing == "_ctypes")
