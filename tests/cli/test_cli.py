"""The command line: help, wrong verbs, closed pipes, and what status shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from autoperf import __version__, cli
from autoperf.cli.views import status
from autoperf.insight import processes
from autoperf.insight.facts.ending import ALIVE, GONE
from autoperf.insight.facts.process import Process
from tests.interpreters import REPOSITORY, TEMPLATE, Bench

RECORD: dict[str, Any] = {
    "pid": 4194304,
    "started": 1000.0,
    "updated": 1100.0,
    "ended": 1190.0,
    "autoperf": "0.1.0",
    "python": "3.12.1",
    "host": {"layout": "v0_9_9", "generation": "v0.9.9 - v2.6", "root": "/srv/a0"},
    "features": ["tools", "trace"],
    "patches": [
        {"target": "agent:Agent.get_tool", "feature": "tools", "state": "applied", "reason": ""},
        {"target": "helpers.x:y", "feature": "mcp", "state": "failed", "reason": "AttributeError: y"},
    ],
    "lookups": {"tools": {"lookups": 1234, "hits": 1200, "misses": 34, "hit_rate": 0.9724}},
    "caches": {
        "tools": {
            "hits": 1200,
            "loads": 34,
            "evictions": 0,
            "invalidations": 3,
            "reexecutions": 2,
            "maxsize": 100,
            "currsize": 31,
            "seconds_loading": 0.0421,
            "seconds_saved": 1.5,
        }
    },
    "interventions": {"calls": 88, "waited": 0, "raised": 1},
    "tools": [
        {
            "name": "a_tool_with_a_name_that_is_far_too_long_for_a_column_of_this_table_" * 3,
            "count": 3,
            "errors": 1,
            "p50_ms": 0.5,
            "p95_ms": 2.25,
            "max_ms": 1500.0,
            "total_ms": 1502.0,
            "overhead_ms": 0.02,
        }
    ],
    "extension_points": [{"name": "message_loop_start", "count": 20, "errors": 0, "p50_ms": 0.01}],
    "telemetry": {
        "spans": 40,
        "dropped": 0,
        "exporters": [{"kind": "otlp-http", "endpoint": "http://h:4318/v1/traces", "dropped": 3}],
        "metrics": {
            "dropped": 1,
            "exporters": [{"endpoint": "http://h:4318/v1/metrics", "problem": "takes no metrics"}],
        },
    },
    "failures": [{"seam": "agent:Agent.get_tool", "reason": "KeyError: 1", "count": 2}],
}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A store double whose records the test fills in."""
    rows: list[dict[str, Any]] = []

    class Store:
        @staticmethod
        def exists(directory: Path) -> bool:
            return bool(rows)

        @classmethod
        def open(cls, directory: Path) -> Store:
            return cls()

        def processes(self, limit: int) -> list[dict[str, Any]]:
            return rows[:limit]

        def close(self) -> None:
            pass

        path = Path("/nonexistent")

    module = types.ModuleType("autoperf.telemetry.store.store")
    vars(module)["Store"] = Store
    monkeypatch.setitem(sys.modules, "autoperf.telemetry.store.store", module)
    return rows


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    bench = Bench(folder)
    bench.path(REPOSITORY)
    done = bench.run(sys.executable, "-m", "autoperf", *words)
    return done.code, done.out, done.err


def test_help_is_one_screen_with_two_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert len(text.splitlines()) <= 24
    assert all(f"  {verb} " in text for verb in cli.VERBS)
    assert text.count("\n  autoperf ") == 2
    assert cli.main([]) == 0


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    assert f"usage: autoperf {verb}" in capsys.readouterr().out


def test_version(tmp_path: Path) -> None:
    assert run(tmp_path, "--version") == (0, f"autoperf {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statsu", "--json"], "did you mean `autoperf status --json`?"),
        (["python", "x.py"], "did you mean `autoperf run python x.py`?"),
        (["xyzzy"], "there are run, status"),
        (["--quiet", "run", "x"], "no option --quiet before the verb"),
        (["status", "--pid", "one"], "see autoperf status --help"),
        (["status", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_a_line_that_makes_no_sense(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert said in captured.err


def test_run_through_the_table_is_the_launcher(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "run", "--help")
    assert code == 0
    assert "usage: autoperf run [--features LIST]" in out
    program = (
        "import sys; from autoperf.cli import main; sys.exit(main(['run', '--quiet', 'sh', '-c', 'exit 3']))"
    )
    bench = Bench(tmp_path)
    bench.path(REPOSITORY)
    assert bench.run(sys.executable, "-c", program).code == 3


def test_bootstrap_prints_the_folder_for_pythonpath(tmp_path: Path) -> None:
    assert run(tmp_path, "bootstrap") == (0, f"{TEMPLATE}\n", "")
    assert run(tmp_path, "bootstrap", "--python", "3.12")[0] == 1


@pytest.mark.parametrize("redirection", ["| true", ">&-", ">&- 2>&-", "> /dev/full"])
def test_an_output_that_is_gone_makes_no_traceback(tmp_path: Path, redirection: str) -> None:
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    command = f"{sys.executable} -m autoperf --help {redirection}"
    environ = {"PYTHONPATH": str(REPOSITORY), "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_status_says_so_when_there_is_none(tmp_path: Path, recorded: list[dict[str, Any]]) -> None:
    home = tmp_path / "state"
    assert cli.main(["status", "--home", str(home)]) == 1
    assert not home.exists()


def test_status_shows_what_was_measured(
    recorded: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.append(RECORD)
    assert cli.main(["status"]) == 0
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  !"))
    for expected in (
        "process 4194304 ended after 3 min",
        "v0.9.9 - v2.6",
        "1 of 2 patches: mcp is off (autoperf doctor)",
        "on: tools, trace",
        "off: mcp",
        "helpers.x:y is failed: AttributeError: y; "
        "to leave it out: AUTOPERF_FEATURES=-mcp or AUTOPERF_DISABLED=1",
        "1,234",
        "97.2 %",
        "31/100",
        "42.1 ms",
        "1.5 s",
        "interventions: calls 88, waited 0, raised 1",
        "500 us",
        "spans: 40 to the local store, http://h:4318/v1/traces",
        "! metrics to http://h:4318/v1/metrics: takes no metrics",
        "agent:Agent.get_tool failed 2 times: KeyError: 1; to leave it out: AUTOPERF_DISABLED=1",
    ):
        assert expected in text
    assert cli.main(["status", "--json", "--pid", "4194304"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        **RECORD,
        "running": False,
        "facts": Process(RECORD, GONE, 0.0).as_row()["facts"],
    }
    assert cli.main(["status", "--pid", "1"]) == 1


def test_a_record_with_nothing_in_it_is_shown_without_invented_numbers() -> None:
    (line,) = status.snapshot(Process({"pid": 5}, GONE, 2000.0))
    assert line == "process 5 has ended, nothing of it was recorded; autoperf ?, Python ?"


def test_a_running_process_comes_before_a_newer_one_that_ended() -> None:
    ended, alive = {"pid": 1, "ended": 5.0}, {"pid": os.getpid(), "ended": None}
    killed = {"pid": 4194304, "ended": None}
    assert processes.chosen([killed, ended, alive]) is alive
    assert processes.chosen([killed, ended]) is killed
    assert processes.chosen([]) is None
    assert not processes.runs(killed)
    # Another process has its pid by now: this one was born long after.
    assert not processes.runs({**alive, "started": 100.0})
    assert processes.runs({**alive, "started": time.time()})
    known = Process({**alive, "started": 100.0, "updated": 199.0}, ALIVE, 200.0)
    text = status.snapshot(known)[0]
    assert "runs since 100 s, numbers 1.0 s old" in text


def test_only_the_slowest_tools_are_listed_and_the_rest_counted() -> None:
    tools = [{"name": f"t{i}", "count": 1, "total_ms": float(i)} for i in range(30)]
    text = "\n".join(status.snapshot(Process({"tools": tools}, GONE, 0.0)))
    assert "t29" in text
    assert "t17 " not in text
    assert "and 18 more" in text


def test_the_quick_start_is_one_block_of_two_commands() -> None:
    done = subprocess.run(
        [sys.executable, ".ci/quickstart.py"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["python3", "python3"]
