"""Without OpenTelemetry's SDK the patches and the process record still work, and one line says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from autoperf.telemetry.store.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = """
import runpy, sys
sys.modules["opentelemetry.sdk"] = None
sys.path.insert(0, sys.argv[1])
sys.argv = [sys.argv[1] + "/run_ui.py", "--messages", "1", "--tools", "4"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_process_record_needs_no_sdk(tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "PYTEST_", "PYTHON"))}
    path = os.pathsep.join([str(REPOSITORY / "sitecustomize_template"), str(REPOSITORY)])
    environment = {**clean, "PYTHONPATH": path, "AUTOPERF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(REPOSITORY / "examples" / "mini_agent")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    ours = [line for line in done.stderr.splitlines() if line.startswith("autoperf:")]
    assert len(ours) == 2
    assert "opentelemetry" in ours[0]
    assert ours[1].endswith("patches, no traces")
    with Store.open(tmp_path) as store:
        (record,) = store.processes()
    assert record["lookups"]["tools"]["lookups"] > 0
    assert [failure["seam"] for failure in record["failures"]] == ["telemetry"]
