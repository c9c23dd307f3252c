"""Marks of launches: what they hold, where they lie, how many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf import cli
from autoperf.insight import processes
from autoperf.process.config import Config
from autoperf.telemetry.store import launches
from tests.interpreters import REPOSITORY, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.path(REPOSITORY)
    made.environ["AUTOPERF_HOME"] = str(tmp_path / "state")
    return made


def test_a_launch_that_still_runs_has_not_reported(bench: Bench) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "autoperf", "run", "sh", "-c", "echo up; read line"],
        env=bench.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdout.readline()
        (launch,) = processes.unreported(bench.folder / "state")
        assert (launch["pid"], launch["program"], launch["running"]) == (child.pid, "sh", True)
        assert "has not reported" in processes.told(launch, launch["started"] + 3)
    finally:
        child.communicate(b"\n")


def test_a_mark_is_private_and_holds_no_argument(bench: Bench) -> None:
    assert bench.run(sys.executable, "-m", "autoperf", "run", "echo", "--key=secret").code == 0
    state = bench.folder / "state"
    (mark,) = (state / launches.FOLDER).iterdir()
    assert mark.read_text() == "echo"
    modes = [path.stat().st_mode & 0o777 for path in (state, mark.parent, mark)]
    assert modes == [0o700, 0o700, 0o600]


def test_a_command_that_cannot_run_or_is_switched_off_leaves_no_mark(bench: Bench) -> None:
    assert bench.run(sys.executable, "-m", "autoperf", "run", "no-such-program").code == 127
    assert processes.unreported(bench.folder / "state") == []
    bench.environ["AUTOPERF_DISABLED"] = "1"
    assert bench.run(sys.executable, "-m", "autoperf", "run", "true").code == 0
    assert processes.unreported(bench.folder / "state") == []


def test_marks_are_few_and_never_written_through_a_link(tmp_path: Path) -> None:
    environ = {"AUTOPERF_HOME": str(tmp_path / "state")}
    for pid in range(1, 100):
        launches.leave({**environ, "AUTOPERF_LAUNCH_PID": str(pid)}, "first")
    folder = tmp_path / "state" / launches.FOLDER
    assert len(os.listdir(folder)) == 32
    launches.leave({**environ, "AUTOPERF_LAUNCH_PID": "99"}, "again")
    assert (folder / "99").read_text() == "again"
    (tmp_path / "theirs").write_text("kept")
    (folder / "98").unlink()
    (folder / "98").symlink_to(tmp_path / "theirs")
    launches.leave({**environ, "AUTOPERF_LAUNCH_PID": "98"}, "ours")
    assert (tmp_path / "theirs").read_text() == "kept"
    (folder / "97").unlink()
    (folder / "97").mkdir()
    launches.leave({**environ, "AUTOPERF_LAUNCH_PID": "97"}, "ours")
    launches.remove({**environ, "AUTOPERF_LAUNCH_PID": "../99"})
    assert (folder / "99").exists()
    (tmp_path / "file").write_text("")
    launches.leave({"AUTOPERF_HOME": str(tmp_path / "file"), "AUTOPERF_LAUNCH_PID": "1"}, "x")
    assert (tmp_path / "file").read_text() == ""


def test_nothing_is_written_or_removed_behind_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "7").write_text("theirs")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / launches.FOLDER).symlink_to(tmp_path / "elsewhere")
    environ = {"AUTOPERF_HOME": str(tmp_path / "state")}
    launches.leave({**environ, "AUTOPERF_LAUNCH_PID": "8"}, "x")
    launches.leave({**environ, "AUTOPERF_LAUNCH_PID": "7"}, "x")
    launches.remove({**environ, "AUTOPERF_LAUNCH_PID": "7"})
    assert [path.read_text() for path in (tmp_path / "elsewhere").iterdir()] == ["theirs"]


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/h"},
        {"HOME": "/h", "XDG_STATE_HOME": "/x"},
        {"HOME": "/h", "XDG_STATE_HOME": "relative"},
        {"HOME": "/h", "AUTOPERF_HOME": "~/here"},
        {"HOME": "/h", "AUTOPERF_HOME": "relative"},
        {"HOME": "/h", "AUTOPERF_HOME": " "},
    ],
)
def test_marks_lie_in_the_state_directory(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_STATE_HOME", "AUTOPERF_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert launches.state_folder(os.environ) == str(Config.from_environ().state_dir)


def test_a_user_without_a_home_leaves_no_mark() -> None:
    assert launches.state_folder({}) is None
    launches.leave({"AUTOPERF_LAUNCH_PID": "1"}, "x")


def test_status_of_nobody_stays_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--json", "--home", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().out == "null\n"
