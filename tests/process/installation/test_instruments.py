"""Beside other instruments: launchers that shadow, chain or remove a sitecustomize, and what is said."""

from __future__ import annotations

import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from autoperf.insight import processes
from tests.interpreters import REPOSITORY, TEMPLATE, Bench, Result

pytestmark = pytest.mark.slow

MINI = REPOSITORY / "examples" / "mini_agent"
TALK = ("run_ui.py", "--messages", "1", "--tools", "1")
# A launcher of another instrument: its folder first on PYTHONPATH, then it becomes the command.
INSTRUMENT = (
    "import os, sys\n"
    "here = os.path.dirname(os.path.abspath(__file__))\n"
    "path = os.environ.get('PYTHONPATH', '').split(os.pathsep)\n"
    "os.environ['PYTHONPATH'] = os.pathsep.join([here, *(part for part in path if part not in ('', here))])\n"
    "os.execvp(sys.argv[1], sys.argv[1:])\n"
)
HERE = "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n"
STARTED = "sys.stderr.write('theirs runs\\n')\n"
STRIPS = (
    "path = os.environ['PYTHONPATH'].split(os.pathsep)\n"
    "os.environ['PYTHONPATH'] = os.pathsep.join(part for part in path if part != here)\n"
)
# What an instrument's sitecustomize does about the next one.
SHADOWS = HERE + STARTED
CHAINS = (
    f"{HERE}{STARTED}"
    "place = sys.path.index(here)\n"
    "del sys.path[place]\n"
    "own = sys.modules.pop('sitecustomize')\n"
    "try:\n    import sitecustomize\n"
    "except ImportError:\n    sys.modules['sitecustomize'] = own\n"
    "sys.path.insert(place, here)\n"
)
EXECS = (
    f"{HERE}{STARTED}"
    "if os.environ.get('AGAIN') != str(os.getpid()):\n"
    "    os.environ['AGAIN'] = str(os.getpid())\n"
    f"    {STRIPS.replace(chr(10), chr(10) + '    ').rstrip()}\n"
    "    os.execv(sys.executable, sys.orig_argv)\n"
)
# As OpenTelemetry's does: it removes itself for children, and calls the hooks of a group of entry points.
HOOKS = (
    f"{HERE}{STARTED}{STRIPS}"
    "from importlib.metadata import entry_points\n"
    "for hook in entry_points(group='opentelemetry_pre_instrument'): hook.load()()\n"
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.path(REPOSITORY)
    made.environ["AUTOPERF_HOME"] = str(tmp_path / "state")
    return made


def play(bench: Bench, sitecustomize: str, *, ours_first: bool) -> Result:
    """The mini agent with both launchers, in one order or the other."""
    bench.write({"theirs/launch.py": INSTRUMENT, "theirs/sitecustomize.py": sitecustomize})
    ours = [sys.executable, "-m", "autoperf", "run"]
    theirs = [sys.executable, str(bench.folder / "theirs" / "launch.py")]
    command = [*ours, *theirs] if ours_first else [*theirs, *ours]
    return Bench(MINI, bench.environ).run(*command, sys.executable, *TALK)


def status(bench: Bench, *words: str) -> Result:
    return bench.run(sys.executable, "-m", "autoperf", "status", *words)


def announced(result: Result) -> int:
    return result.err.count("autoperf: Agent Zero")


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "theirs-first"])
@pytest.mark.parametrize("theirs", [CHAINS, EXECS], ids=["chains", "execs"])
def test_works_with_one_that_runs_the_next_or_begins_anew(
    bench: Bench, theirs: str, ours_first: bool
) -> None:
    result = play(bench, theirs, ours_first=ours_first)
    assert (result.code, announced(result)) == (0, 1), result.err
    assert "theirs runs" in result.err
    assert processes.unreported(bench.folder / "state") == []


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "theirs-first"])
def test_works_with_one_that_calls_hooks_as_opentelemetry_does(bench: Bench, ours_first: bool) -> None:
    """Runs no other sitecustomize and removes itself: both are in place all the same, in either order."""
    hook = "[opentelemetry_pre_instrument]\nautoperf = autoperf.arrival:wait\n"
    bench.write(
        {
            "installed/autoperf-0.dist-info/METADATA": "Metadata-Version: 2.1\nName: autoperf\nVersion: 0\n",
            "installed/autoperf-0.dist-info/entry_points.txt": hook,
        }
    )
    bench.path(bench.folder / "installed", REPOSITORY)
    result = play(bench, HOOKS, ours_first=ours_first)
    assert (result.code, announced(result)) == (0, 1), result.err
    # Of launcher and command, or of the command alone.
    assert result.err.count("theirs runs") == (1 if ours_first else 2)
    assert processes.unreported(bench.folder / "state") == []


def test_the_entry_point_is_the_hook_that_these_tests_call() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert '[project.entry-points.opentelemetry_pre_instrument]\nautoperf = "autoperf.arrival:wait"' in text


@pytest.mark.parametrize("sitecustomize", ["", "raise SystemExit(3)"])
def test_the_hook_finds_only_a_bootstrap_of_ours_on_the_path(bench: Bench, sitecustomize: str) -> None:
    program = (
        "from autoperf.arrival import wait; import sys; wait()\n"
        "print([type(finder).__name__ for finder in sys.meta_path].count('AutoperfFinder'))\n"
    )
    bench.write({"theirs/sitecustomize.py": sitecustomize})
    bench.path(REPOSITORY)
    program = f"import sys; sys.path.insert(0, {str(bench.folder / 'theirs')!r})\n{program}"
    assert bench.python("-c", program).out == "0\n"
    program = f"import sys; sys.path.append({str(TEMPLATE)!r})\n{program}"
    assert bench.python("-c", program).out == "1\n"
    bench.environ["AUTOPERF_DISABLED"] = "1"
    assert bench.python("-c", program).out == "0\n"


def test_status_says_of_a_shadowed_run_that_it_never_reported(bench: Bench) -> None:
    result = play(bench, SHADOWS, ours_first=True)
    assert (result.code, announced(result)) == (0, 0)
    shown = status(bench)
    assert (shown.code, shown.out, shown.err.count("\n")) == (1, "", 1)
    assert f"{os.path.basename(sys.executable)}, launched " in shown.err
    assert "never reported" in shown.err
    assert "autoperf install" in shown.err
    (launch,) = json.loads(status(bench, "--json").out)["unreported"]
    assert launch["running"] is False
    assert "never reported" in status(bench, "--pid", str(launch["pid"])).err
    assert "never" not in status(bench, "--pid", str(launch["pid"] + 1)).err
    # The next one that reports is what there is to tell of.
    assert announced(play(bench, CHAINS, ours_first=True)) == 1
    shown = status(bench)
    assert (shown.code, shown.err) == (0, "")
    assert "unreported" not in status(bench, "--json").out
    # And a silent one after that is told beside it.
    play(bench, SHADOWS, ours_first=True)
    shown = status(bench)
    assert shown.code == 0
    assert shown.out.startswith("process ")
    assert "never reported" in shown.err
    assert "never reported" in bench.run(sys.executable, "-m", "autoperf", "doctor", MINI).out.replace(
        "\n    ", " "
    )


LAUNCHERS = {
    "opentelemetry-instrument": ("opentelemetry.instrumentation.auto_instrumentation", ()),
    "ddtrace-run": ("ddtrace", ()),
    "newrelic-admin": ("newrelic", ("run-program",)),
}


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "theirs-first"])
@pytest.mark.parametrize("name", LAUNCHERS)
def test_with_the_real_one_it_works_or_says_why_not(bench: Bench, name: str, ours_first: bool) -> None:
    package, words = LAUNCHERS[name]
    script = Path(sys.executable).with_name(name)
    if not script.exists() or find_spec(package.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    bench.environ |= {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    bench.environ |= {"OTEL_LOGS_EXPORTER": "none", "DD_TRACE_ENABLED": "false"}
    ours = [sys.executable, "-m", "autoperf", "run"]
    command = [*ours, str(script), *words] if ours_first else [str(script), *words, *ours]
    result = Bench(MINI, bench.environ).run(*command, sys.executable, *TALK)
    said = "which stays out; type once: autoperf install" in result.err
    assert (result.code, announced(result)) == (0, 0 if said else 1), result.err
    assert bool(processes.unreported(bench.folder / "state")) is said


@pytest.mark.parametrize("tool", ["coverage run", "debugpy --listen 0"])
def test_a_tool_that_runs_the_host_in_its_own_process_sees_autoperf(bench: Bench, tool: str) -> None:
    if find_spec(tool.split()[0]) is None:
        pytest.skip(f"{tool.split()[0]} is not installed")
    bench.environ["COVERAGE_FILE"] = str(bench.folder / "data")
    command = [sys.executable, "-m", "autoperf", "run", sys.executable, "-m", *tool.split(), *TALK]
    result = Bench(MINI, bench.environ).run(*command)
    assert (result.code, announced(result)) == (0, 1), result.err


def test_a_restart_of_the_host_under_an_instrument_stays_ours(bench: Bench) -> None:
    """An exec keeps the environment: the instrument's folder stands first there, ours behind it."""
    shutil.copytree(MINI, bench.folder / "mini")
    text = (bench.folder / "mini" / "run_ui.py").read_text()
    again = (
        "\nif __name__ == '__main__' and 'AGAIN' not in __import__('os').environ:\n"
        "    import os, sys\n    os.environ['AGAIN'] = '1'\n"
        "    os.execv(sys.executable, [sys.executable, *sys.argv])\n"
    )
    (bench.folder / "mini" / "run_ui.py").write_text(text + again)
    bench.write({"theirs/launch.py": INSTRUMENT, "theirs/sitecustomize.py": CHAINS})
    command = [sys.executable, "-m", "autoperf", "run", sys.executable, bench.folder / "theirs" / "launch.py"]
    result = Bench(bench.folder / "mini", bench.environ).run(*command, sys.executable, *TALK)
    assert (result.code, announced(result)) == (0, 2), result.err
