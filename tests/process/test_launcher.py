"""The launcher: what the command inherits, and what is said when there is no command to run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.process.launcher import LaunchError, parsed, with_bootstrap
from tests.interpreters import REPOSITORY, TEMPLATE, Bench, Result

SHOW = "import json, os, sys; print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.path(REPOSITORY)
    made.environ["XDG_STATE_HOME"] = str(tmp_path / "state")  # where a launch leaves its mark
    return made


def launch(bench: Bench, *words: str | Path, stdin: str = "") -> Result:
    return bench.run(sys.executable, "-m", "autoperf", "run", *words, stdin=stdin)


def test_becomes_the_command_with_its_pid_its_arguments_and_its_input(bench: Bench) -> None:
    program = "import os, sys; print(os.getpid(), sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    child = subprocess.Popen(
        [sys.executable, "-m", "autoperf", "run", sys.executable, "-c", program, "--quiet", "a b", "--"],
        cwd=bench.folder,
        env=bench.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = child.communicate("typed")
    assert out == f"{child.pid} ['--quiet', 'a b', '--'] typed\n"
    assert child.returncode == 7


def test_a_signal_ends_the_command_as_it_would_without_us(bench: Bench) -> None:
    killed = launch(bench, "sh", "-c", "kill -TERM $$")
    assert killed.code == -signal.SIGTERM
    # A Python ignores SIGPIPE; the command must not inherit that.
    assert launch(bench, "sh", "-c", "kill -PIPE $$; echo survived").code == -signal.SIGPIPE
    assert launch(bench, "sh", "-c", "kill -XFSZ $$; echo survived").code == -signal.SIGXFSZ


def test_options_reach_the_command_as_environment(bench: Bench) -> None:
    shown = launch(
        bench, "--features", "tools,mcp", "--home=state", "--quiet", sys.executable, "-c", SHOW, "--observe"
    )
    pid, arguments, environ = json.loads(shown.out)
    assert arguments == ["--observe"]
    assert environ["AUTOPERF_FEATURES"] == "tools,mcp"
    assert environ["AUTOPERF_HOME"] == str(bench.folder / "state")
    assert environ["AUTOPERF_QUIET"] == "1"
    assert environ["AUTOPERF_LAUNCH_PID"] == str(pid)
    assert environ["PYTHONPATH"] == os.pathsep.join([str(TEMPLATE), str(REPOSITORY)])
    assert shown.err == ""


def test_home_is_absolute_and_knows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parsed(["--home", "~/state", "x"])[0] == {"AUTOPERF_HOME": "/home/somebody/state"}


def test_the_same_option_may_stand_twice_with_one_value() -> None:
    assert parsed(["--home=/a", "--home=/a", "--quiet", "--quiet", "x"])[1] == ["x"]
    with pytest.raises(LaunchError, match="--home twice"):
        parsed(["--home=/a", "--home=/b", "x"])
    with pytest.raises(LaunchError, match="no option --; "):
        parsed(["--=x", "y"])


def test_detail_is_passed_on() -> None:
    assert parsed(["--detail=all", "x"]) == ({"AUTOPERF_DETAIL": "all"}, ["x"])
    assert parsed(["--detail", "turn", "x"]) == ({"AUTOPERF_DETAIL": "turn"}, ["x"])


def test_observe_is_tracing_and_nothing_else() -> None:
    assert parsed(["--observe", "--", "x", "-y"]) == ({"AUTOPERF_FEATURES": "trace"}, ["x", "-y"])


@pytest.mark.parametrize("other", ["", "/a", "/a:", ":/a::/b c", "/a/../a", "/ä", "/t/:/a"])
def test_other_entries_of_pythonpath_stay_byte_for_byte(other: str) -> None:
    assert with_bootstrap(other, "/t") == ("/t:" + other if other else "/t")


def test_the_bootstrap_is_first_and_once() -> None:
    assert with_bootstrap("/t", "/t") == "/t"
    assert with_bootstrap("/t:/a", "/t") == "/t:/a"
    assert with_bootstrap("/a:/t:/b", "/t") == "/t:/a:/b"


def test_the_kill_switch_changes_nothing_in_the_environment(bench: Bench) -> None:
    bench.environ["AUTOPERF_DISABLED"] = "1"
    _, _, environ = json.loads(launch(bench, "--observe", sys.executable, "-c", SHOW).out)
    assert environ["PYTHONPATH"] == str(REPOSITORY)
    assert {name for name in environ if name.startswith("AUTOPERF")} == {"AUTOPERF_DISABLED"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no command"),
        (["--quiet"], "no command"),
        (["--fast", "x"], "no option --fast"),
        (["--features"], "--features needs a value"),
        (["--features", "speed", "x"], "no feature 'speed'; there are tools"),
        (["--features=tools", "--observe", "x"], "contradict"),
        (["--home=", "x"], "--home needs"),
        (["--detail", "token", "x"], "--detail token: use turn, step or all"),
        (["--detail=", "x"], "use turn, step or all"),
        (["--quiet=1", "x"], "no option --quiet"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(LaunchError, match=said) as refused:
        parsed(words)
    assert refused.value.code == 2


def test_what_cannot_run_is_named_in_one_line(bench: Bench) -> None:
    bench.write({"app.py": "print('hi')\n", "tool": "not a program", "folder/x": ""})
    bench.write({"moved": "#!/no/such/interpreter\n"})
    (bench.folder / "tool").chmod(0o755)
    (bench.folder / "moved").chmod(0o755)
    cases: list[tuple[list[str], int, str]] = [
        ([], 2, "no command; say for example: autoperf run python run_ui.py"),
        (["no-such-program"], 127, "no-such-program: command not found"),
        (["app.py", "-v"], 127, "app.py: command not found; did you mean `autoperf run python"),
        (["./app.py", "-v"], 126, "./app.py -v`?"),
        (["./folder"], 126, "./folder: is a folder"),
        (["./tool"], 126, "./tool: exec format error; did you mean"),
        (["./app.py/x"], 127, "command not found"),
        (["./moved"], 126, "./moved: the interpreter named in its first line is missing"),
        (["./app.py", "two\nlines"], 126, "./app.py two\\nlines`?"),
        (["--home"], 2, "--home needs a value"),
        ([""], 2, "no command"),
    ]
    for words, code, said in cases:
        result = launch(bench, *words)
        assert (result.code, result.out, result.err.count("\n")) == (code, "", 1), result
        assert result.err.startswith("autoperf: ")
        assert said in result.err


def test_a_missing_python_is_answered_with_the_one_there_is(bench: Bench) -> None:
    (bench.folder / "bin").mkdir()
    (bench.folder / "bin" / "python3").symlink_to(sys.executable)
    bench.environ["PATH"] = str(bench.folder / "bin")
    result = launch(bench, "python", "run_ui.py")
    assert result.code == 127
    assert "did you mean `autoperf run python3 run_ui.py`?" in result.err
    (bench.folder / "bin" / "python3").unlink()
    result = launch(bench, "python", "run_ui.py")
    assert f"did you mean `autoperf run {sys.executable} run_ui.py`?" in result.err


def test_loads_nothing_that_a_started_python_has_not_loaded(bench: Bench) -> None:
    def loaded(program: str, *words: str) -> set[str]:
        lines = bench.run(sys.executable, "-X", "importtime", "-c", program, *words).err.splitlines()
        return {line.rpartition("|")[2].strip() for line in lines}

    ours = loaded("from autoperf.__main__ import main; main()", "run", "--features", "tools", "true")
    store = {".telemetry", ".telemetry.store", ".telemetry.store.launches"}
    process = {".process", ".process.launcher", ".process.shadows"}
    names = {"", ".__main__", ".version", ".features", *store, *process}
    # os.execvpe itself loads warnings, which some versions have loaded by then.
    assert ours - loaded("0") - {"warnings"} == {"__future__"} | {f"autoperf{name}" for name in names}


def test_a_refusal_keeps_its_code_when_nobody_can_read_it(bench: Bench) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    assert launch(bench, "sh", "-c", f"{sys.executable} -m autoperf run no-such 2>/dev/full").code == 127


@pytest.mark.skipif(os.pathsep != ":", reason="no name can hold this separator")
def test_a_folder_that_pythonpath_cannot_hold_is_refused_in_one_line(bench: Bench) -> None:
    away = bench.folder / "a:b"
    shutil.copytree(REPOSITORY / "autoperf", away / "autoperf")
    shutil.copytree(TEMPLATE, away / "sitecustomize_template")
    for words in (["run", "true"], ["bootstrap"]):
        done = subprocess.run(
            [sys.executable, "-m", "autoperf", *words],
            cwd=away,
            capture_output=True,
            text=True,
            env=os.environ,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2 if "run" in words else 1, "", 1)
        assert "PYTHONPATH cannot hold" in done.stderr


@pytest.mark.parametrize("words", [["run", "true"], ["bootstrap"], ["install"], ["doctor"]])
def test_an_installation_without_its_template_says_so_in_one_line(bench: Bench, words: list[str]) -> None:
    shutil.copytree(REPOSITORY / "autoperf", bench.folder / "autoperf")
    bench.path(bench.folder)
    result = bench.run(sys.executable, "-m", "autoperf", *words)
    assert (result.code, result.out, result.err.count("\n")) == (2 if "run" in words else 1, "", 1)
    assert "this installation is incomplete" in result.err
