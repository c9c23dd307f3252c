"""Recognising the host: which folders are asked about, which processes say so, and what starts."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from autoperf import arrival
from autoperf.instrumentation.agentzero.layouts import LAYOUTS
from tests.interpreters import REPOSITORY, TEMPLATE, Bench
from tests.process.test_bootstrap import HOST

pytestmark = pytest.mark.slow


def test_every_layout_has_what_a_folder_is_first_searched_for() -> None:
    for layout in LAYOUTS:
        assert f"agent:Agent.{arrival.MARK.decode()}" in layout.marks
        assert {mark.split(":")[0].rpartition(".")[0] for mark in layout.marks} - {""} <= {
            ".".join(parts) for parts in arrival.HELPERS
        }


# Doubles for the parts below the bootstrap, put in place by a sitecustomize that is chained.
DOUBLES = """
import sys, types
agentzero = types.ModuleType("autoperf.instrumentation.agentzero")
runtime = types.ModuleType("autoperf.process.runtime")
running = []
class Runtime:
    telemetry, probe, starting = None, types.SimpleNamespace(at_stop=[]), 0.0
    @staticmethod
    def start(root, layout, config):
        print("start", root.name, layout, config.quiet)
        running.append(config)
        return Runtime
agentzero.detect = lambda root: "layout" if (root / "agent.py").read_text().strip() else None
runtime.Runtime, runtime.current = Runtime, lambda: running[0] if running else None
sys.modules.update({"autoperf.instrumentation.agentzero": agentzero, "autoperf.process.runtime": runtime})
"""


@pytest.fixture
def real(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write({**HOST, "doubles/sitecustomize.py": DOUBLES})
    made.path(TEMPLATE, tmp_path / "doubles", REPOSITORY)
    return made


def test_starts_the_runtime_of_a_recognised_host(real: Bench) -> None:
    real.environ["AUTOPERF_TOOL_CACHE_SIZE"] = "lots"
    result = real.python("host/run_ui.py")
    assert result.out.splitlines() == ["start host layout False", "host runs"]
    assert result.err.count("AUTOPERF_TOOL_CACHE_SIZE") == 1


def test_preparation_steps_and_children_are_instrumented_silently(real: Bench) -> None:
    real.environ["AUTOPERF_TYPO"] = "1"
    real.write({"host/prepare.py": "import agent\n", "host/child.py": "import agent\n"})
    prepared = real.python("host/prepare.py")
    real.write(
        {
            "host/start.py": "import agent, subprocess, sys\n"
            "subprocess.check_call([sys.executable, 'host/child.py'])"
        }
    )
    parent = real.python("host/start.py")
    assert (prepared.out, prepared.err) == ("start host layout True\n", "")
    assert sorted(parent.out.splitlines()) == ["start host layout False", "start host layout True"]
    assert parent.err.count("AUTOPERF_TYPO") == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_of_run_ui_is_instrumented_silently(real: Bench, method: str) -> None:
    program = (
        "import multiprocessing, sys\n"
        "if __name__ != '__main__' or sys.argv[1] != 'spawn': import agent\n"
        "def work(): import agent\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)\n"
        "    child.start(); child.join(); sys.exit(child.exitcode)\n"
    )
    real.write({"host/run_ui.py": program})
    result = real.python("host/run_ui.py", method)
    assert result.code == 0, result
    starts = [line for line in result.out.splitlines() if line.startswith("start")]
    wanted = {"fork": ["False"], "spawn": ["True"], "forkserver": ["False", "True"]}[method]
    assert [line.split()[-1] for line in starts] == wanted


def test_run_ui_is_the_server_even_below_an_instrumented_process(real: Bench) -> None:
    real.environ["AUTOPERF_HOST_PID"] = "1"
    assert real.python("host/run_ui.py").out.splitlines()[0] == "start host layout False"
    real.write({"host/other.py": "import agent\n"})
    assert real.python("host/other.py").out.splitlines()[0] == "start host layout True"


def test_failures_of_ours_are_silent_where_the_start_line_is(real: Bench) -> None:
    failing = DOUBLES.replace('print("start"', 'raise RuntimeError("no room")\n        print("start"')
    real.write({"doubles/sitecustomize.py": failing, "host/prepare.py": "import agent\n"})
    assert vars(real.python("host/prepare.py")) == {"code": 0, "out": "", "err": ""}


def test_a_second_call_returns_the_runtime_that_runs(real: Bench) -> None:
    program = (
        "import autoperf\nfirst = autoperf.instrument('host')\nprint(autoperf.instrument('host') is first)"
    )
    returning = DOUBLES.replace("running.append(config)", "running.append(Runtime)")
    real.write({"doubles/sitecustomize.py": returning})
    assert real.python("-c", program).out.splitlines() == ["start host layout False", "True"]


def test_a_project_that_merely_has_an_agent_py_is_left_alone(real: Bench) -> None:
    real.write({"host/agent.py": "\n", "host/helpers/x.py": ""})
    assert real.python("host/run_ui.py").out == "host runs\n"


def test_a_runtime_that_fails_to_start_leaves_the_host_running(real: Bench) -> None:
    failing = DOUBLES.replace('print("start"', 'raise RuntimeError("no room")\n        print("start"')
    real.write({"doubles/sitecustomize.py": failing})
    result = real.python("host/run_ui.py")
    assert (result.code, result.out) == (0, "host runs\n")
    assert "no room" not in result.err, "the text of an error may quote anything"
    assert re.search(r"bootstrap: RuntimeError( at \S+)?; the host's own code runs instead", result.err)


def test_instrument_names_a_folder_without_agent_zero(real: Bench) -> None:
    program = (
        "import autoperf\n"
        "try: autoperf.instrument('doubles')\n"
        "except Exception as e: print(type(e).__name__, e)"
    )
    assert "AutoperfError no Agent Zero in doubles" in real.python("-c", program).out
    real.environ["AUTOPERF_DISABLED"] = "1"
    assert real.python("-c", "import autoperf; print(autoperf.instrument('host'))").out == "None\n"


def test_what_was_undone_is_not_started_again_by_the_bootstrap(real: Bench) -> None:
    stoppable = DOUBLES.replace("append(config)", "append(Runtime())")
    stoppable = stoppable.replace("class Runtime:", "class Runtime:\n    def stop(self): running.clear()")
    program = "import autoperf\nautoperf.instrument('host')\nautoperf.uninstrument()\nimport agent\n"
    real.write({"doubles/sitecustomize.py": stoppable, "host/go.py": program})
    assert real.python("host/go.py").out == "start host layout False\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux")
@pytest.mark.parametrize("mebibytes", [60, 186, 200, 2047])
def test_a_host_with_little_address_space_starts_as_it_does_bare(tmp_path: Path, mebibytes: int) -> None:
    """What our threads reserve would be missing when the host starts one of its own."""
    made = Bench(REPOSITORY / "examples" / "mini_agent")
    made.environ["AUTOPERF_HOME"] = str(tmp_path / "state")
    made.path(TEMPLATE, REPOSITORY)
    limited = ("sh", "-c", 'ulimit -v "$0"; exec "$@"', str(mebibytes << 10))
    talk = (sys.executable, "run_ui.py", "--messages", "1", "--tools", "2")
    result = made.run(*limited, *talk)
    said = f"autoperf: {mebibytes} MiB of address space (ulimit -v) are less than 2048; going on without"
    assert (result.code, result.err.count("\n"), result.err[: len(said)]) == (0, 1, said)
    launched = made.run(*limited, sys.executable, "-m", "autoperf", "run", "--quiet", *talk)
    assert (launched.code, launched.out, launched.err) == (0, result.out, "")
    assert not list((tmp_path / "state").glob("launches/*"))
    program = "import autoperf; autoperf.instrument()"
    assert said.removeprefix("autoperf: ") in made.run(*limited, sys.executable, "-c", program).err
    made.environ["AUTOPERF_DISABLED"] = "1"
    assert vars(made.run(*limited, *talk)) == {"code": 0, "out": result.out, "err": ""}


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux")
def test_a_host_with_enough_address_space_is_instrumented(tmp_path: Path) -> None:
    made = Bench(REPOSITORY / "examples" / "mini_agent")
    made.environ["AUTOPERF_HOME"] = str(tmp_path / "state")
    made.path(TEMPLATE, REPOSITORY)
    limited = ("sh", "-c", 'ulimit -v "$0"; exec "$@"', str(2048 << 10))
    result = made.run(*limited, sys.executable, "run_ui.py", "--messages", "1", "--tools", "2")
    assert result.err.startswith("autoperf: Agent Zero ")
