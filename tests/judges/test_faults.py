"""The injection itself, on a package that stands in for ours: what reaches a host, what is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.judges.outcomes import Outcome

pytestmark = pytest.mark.slow

FAULTS = Path(__file__).resolve().parent / "faults.py"
# A package with one function that is fenced and one that is not; its launcher becomes the host, as ours does.
PACKAGE = {
    "autoperf/__init__.py": """
        import atexit, json, os
        count = {}
        def careful():
            try: helper()
            except Exception as error: count[f"{type(error).__name__}: {error}"] = COUNTED
        def careless(): helper2()
        def helper(): pass
        def helper2(): pass
        def write():
            os.makedirs(os.environ["AUTOPERF_HOME"])
            rows = [{"seam": "s", "reason": r, "count": n} for r, n in count.items()]
            with open(os.environ["AUTOPERF_HOME"] + "/record.json", "w") as stream:
                json.dump({"failures": rows}, stream)
        if "AUTOPERF_HOME" in os.environ: atexit.register(write)
    """,
    "autoperf/__main__.py": """
        import os, sys
        if sys.argv[1] == "run": os.execv(sys.argv[3], sys.argv[3:])
        print(open(sys.argv[-1] + "/record.json").read())
    """,
    "host.py": """
        import sys
        import autoperf
        autoperf.careful()
        if "careless" in sys.argv: autoperf.careless()
        print("answer")
    """,
}


def judged(folder: Path, *words: str, counted: int = 1) -> subprocess.CompletedProcess[str]:
    """The judge on the package's host."""
    for name, text in PACKAGE.items():
        lines = text.strip("\n").splitlines()
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        body = "\n".join(line[8:] for line in lines).replace("COUNTED", str(counted))
        path.write_text(body + "\n")
    command = [
        sys.executable,
        str(FAULTS),
        *words[:-1],
        "--",
        sys.executable,
        str(folder / "host.py"),
        words[-1],
    ]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


needs_monitoring = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is from 3.12 on")


@needs_monitoring
def test_a_fault_that_is_held_and_told_survives(tmp_path: Path) -> None:
    done = judged(tmp_path, "-")
    assert done.stdout.splitlines()[1:] == ["1 runs, 1 faults: 1 survived, 0 HIT, 0 UNTOLD, 0 not reached"]
    assert done.returncode == 0


@needs_monitoring
def test_a_fault_that_reaches_the_host_is_a_hit(tmp_path: Path) -> None:
    done = judged(tmp_path, "careless")
    assert "HIT  __init__.py:8 helper2  (exit code 1, bare 0)" in done.stdout
    assert (done.stdout.count("HIT  "), done.returncode) == (1, 1)


@needs_monitoring
@pytest.mark.parametrize("counted", [0, 2])
def test_a_fault_that_is_not_counted_once_is_untold(tmp_path: Path, counted: int) -> None:
    done = judged(tmp_path, "-", counted=counted)
    assert f"UNTOLD  __init__.py:7 helper  (raised 1 times, counted {counted} times)" in done.stdout
    assert done.returncode == 3


@needs_monitoring
def test_with_edge_what_the_host_calls_counts_too(tmp_path: Path) -> None:
    done = judged(tmp_path, "--edge", "--list", "-")
    assert [line.split()[-1] for line in done.stdout.splitlines()[1:]] == ["careful", "helper", "write"]


@needs_monitoring
def test_many_faults_by_chance_are_judged_by_the_transcript_alone(tmp_path: Path) -> None:
    done = judged(tmp_path, "--probability", "1", "--runs", "3", "-", counted=5)
    assert done.stdout.splitlines()[-1].startswith("3 runs, 3 faults: 3 survived")


def test_a_run_is_compared_by_exit_code_and_transcript() -> None:
    bare = Outcome(0, "a", "")
    assert Outcome(0, "a", "noise").differs_from(bare) == ""
    assert Outcome("hangs", None, "").differs_from(bare) == "exit code hangs, bare 0"
    assert Outcome(0, None, "").differs_from(bare) == "no transcript"
    assert Outcome(0, "b", "").differs_from(bare) == "another transcript: 'b', bare 'a'"


def test_the_reason_of_a_key_error_is_quoted() -> None:
    name = "a.py:1 f.<locals>.g"
    failures = [{"seam": "s", "reason": f"KeyError: 'injected fault in {name}'", "count": 1}]
    assert Outcome(0, "a", "", raised={name: 1}, failures=failures).miscounted() == ""
    assert Outcome(0, "a", "", raised={name: 1}).miscounted() == "status has no record of the run"
