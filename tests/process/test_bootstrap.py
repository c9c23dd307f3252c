"""The bootstrap in fresh interpreters: hands the host over, chains what it shadows, else is not there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interpreters import REPOSITORY, TEMPLATE, Bench, bare_python

pytestmark = pytest.mark.slow

# What the sitecustomize.py reads by path when a host arrives, for folders that have none of our packages.
ARRIVAL = {
    f"fake/autoperf/{name}": (REPOSITORY / "autoperf" / name).read_text()
    for name in ("arrival.py", "process/installation/install_hint.py")
}
HOST = {
    "host/agent.py": "import helpers.files  # monologue\n",
    "host/helpers/files.py": "",
    "host/models.py": "",
    "host/run_ui.py": "import agent\nprint('host runs')\n",
}
# A package that stands in for ours: it tells what it was asked, and takes folders named host for the host.
RECORDER = {
    "fake/autoperf/__init__.py": "",
    "fake/autoperf/process/__init__.py": "",
    "fake/autoperf/process/bootstrap.py": (
        "import os, sys\n"
        "def recognise(folder):\n"
        "    print('asked', os.path.basename(folder), os.getpid() == int(os.environ.get('FIRST', '0')))\n"
        "    return os.path.basename(folder) == 'host'\n"
    ),
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write({**HOST, **RECORDER})
    made.path(TEMPLATE, tmp_path / "fake")
    return made


def test_hands_over_once_before_the_first_module_of_the_host(bench: Bench) -> None:
    result = bench.python("host/run_ui.py")
    assert result.out.splitlines() == ["asked host False", "host runs"]
    assert (result.code, result.err) == (0, "")


def test_finders_installed_during_recognition_see_the_import_under_way(bench: Bench) -> None:
    bench.write(
        {
            "fake/autoperf/process/bootstrap.py": (
                "import sys\n"
                "class Hook:\n"
                "    def find_spec(self, name, path=None, target=None): print('hook', name)\n"
                "def recognise(folder):\n"
                "    sys.meta_path.insert(0, Hook())\n"
                "    return True\n"
            )
        }
    )
    result = bench.python("host/run_ui.py")
    assert result.out.splitlines() == ["hook agent", "hook helpers", "hook helpers.files", "host runs"]
    assert result.err == ""


def test_a_thread_that_imports_meanwhile_goes_on(bench: Bench) -> None:
    bench.write(
        {
            "fake/autoperf/process/bootstrap.py": (
                "def recognise(folder):\n"
                "    import meeting\n"
                "    meeting.asked.set()\n"
                "    import needed_by_both\n"
                "    return True\n"
            ),
            "host/meeting.py": "import threading\nbegun, asked = threading.Event(), threading.Event()\n",
            "host/needed_by_both.py": (
                "import meeting\nmeeting.begun.set()\nassert meeting.asked.wait(30)\nimport another\n"
            ),
            "host/another.py": "",
            "host/go.py": (
                "import faulthandler, meeting, threading\n"
                "faulthandler.dump_traceback_later(20, exit=True)\n"
                "thread = threading.Thread(target=__import__, args=('needed_by_both',))\n"
                "thread.start()\n"
                "assert meeting.begun.wait(30)\n"
                "import agent\n"
                "thread.join()\n"
                "print('host runs')\n"
            ),
        }
    )
    assert vars(bench.python("host/go.py")) == {"code": 0, "out": "host runs\n", "err": ""}


def test_a_rejected_folder_is_asked_about_once_and_the_program_runs(bench: Bench) -> None:
    bench.write(
        {
            "other/agent.py": "import models  # monologue\n",
            "other/models.py": "",
            "other/helpers/x.py": "",
            "other/go.py": "import agent, models\n",
        }
    )
    result = bench.python("other/go.py")
    assert result.out.splitlines() == ["asked other False"]


@pytest.mark.parametrize(
    "files",
    [
        {"other/agent.py": "monologue = 1\n"},
        {"other/agent.py": "import models\n", "other/helpers/x.py": ""},
        {"other/agent.py": "import models\n", "other/python/helpers/x.py": ""},
    ],
    ids=["no-helpers", "helpers", "python-helpers"],
)
def test_a_foreign_project_with_an_agent_py_loads_nothing_of_autoperf(
    bench: Bench, files: dict[str, str]
) -> None:
    seen = "import agent, models, sys\nprint([name for name in sys.modules if 'autoperf' in name])\n"
    bench.write({**files, "other/models.py": "", "other/go.py": seen})
    assert vars(bench.python("other/go.py")) == {"code": 0, "out": "[]\n", "err": ""}


def test_entries_of_the_path_that_python_passes_over_change_nothing(bench: Bench) -> None:
    program = "import sys\nsys.path[:0] = [None, b'bytes', 3]\nimport agent\n"
    bench.write({"host/go.py": program})
    assert vars(bench.python("host/go.py")) == {"code": 0, "out": "asked host False\n", "err": ""}


@pytest.mark.parametrize("entry", ["", "relative"])
def test_a_working_directory_that_is_gone_does_not_stop_the_shadowed_one(bench: Bench, entry: str) -> None:
    bench.write({"theirs/sitecustomize.py": "print('theirs')\n", "gone/x": ""})
    bench.path(TEMPLATE, bench.folder / "theirs")
    # At start Python 3.11 and later refuse such a path themselves; so it is made where 3.10 has it.
    program = (
        "import os, shutil, sys\nshutil.rmtree('gone/x', True); os.chdir('gone')\n"
        "shutil.rmtree(os.getcwd()); sys.path.insert(0, sys.argv[1])\n"
        "sys.modules.pop('sitecustomize')\nsys.path.insert(0, sys.argv[2])\nimport sitecustomize"
    )
    result = bench.python("-c", program, entry, TEMPLATE)
    assert (result.out.splitlines(), result.code, result.err) == (["theirs", "theirs"], 0, "")


def test_a_foreign_arrival_py_above_a_copied_folder_is_not_run(bench: Bench) -> None:
    bench.write(
        {
            "arrival.py": "print('theirs')\n",
            "copied/sitecustomize.py": (TEMPLATE / "sitecustomize.py").read_text(),
            **{f"copied/autoperf-packages/{n.removeprefix('fake/')}": t for n, t in ARRIVAL.items()},
        }
    )
    bench.path(bench.folder / "copied", bench.folder / "fake")
    assert bench.python("host/run_ui.py").out.splitlines() == ["asked host False", "host runs"]


def test_nothing_of_autoperf_is_loaded_without_a_host(bench: Bench) -> None:
    bench.write(
        {"plain/models.py": "", "plain/go.py": "import models, sys, json\nprint('autoperf' in sys.modules)\n"}
    )
    assert bench.python("plain/go.py").out == "False\n"


def test_loads_only_what_python_has_already_loaded(bench: Bench) -> None:
    seen = "import sys; print(sorted(sys.modules))"
    with_it = bench.python("-c", seen).out
    bench.path(bench.folder)
    without = bench.python("-c", seen).out
    assert set(eval(with_it)) - set(eval(without)) == {"sitecustomize"}


def test_kill_switch_loads_nothing_and_still_chains(bench: Bench) -> None:
    bench.write({"theirs/sitecustomize.py": "print('theirs')\n"})
    bench.path(TEMPLATE, bench.folder / "fake", bench.folder / "theirs")
    bench.environ["AUTOPERF_DISABLED"] = "1"
    program = "import sys; print([type(f).__name__ for f in sys.meta_path if 'Autoperf' in str(type(f))])"
    assert bench.python("-c", program).out.splitlines() == ["theirs", "[]"]
    assert bench.python("host/run_ui.py").out.splitlines() == ["theirs", "host runs"]


THEIRS = (
    "import sys\n"
    "print(__name__, __file__, sys.modules['sitecustomize'].__dict__ is globals())\n"
    "print(__spec__.name, __spec__.origin)\n"
    "mine = 1\n"
)


@pytest.mark.parametrize(
    "autoperf",
    [
        {},
        {"fake/autoperf/process/bootstrap.py": "def broken(:\n"},
        {"fake/autoperf/process/bootstrap.py": "raise SystemExit(3)\n"},
        {"fake/autoperf/process/bootstrap.py": "raise BaseException('no')\n"},
        {"fake/autoperf/__init__.py": "raise ImportError('gone')\n"},
        {"fake/autoperf/process/bootstrap.py": "def recognise(folder): raise SystemExit(4)\n"},
        {"fake/autoperf/process/bootstrap.py": ""},
    ],
    ids=["working", "syntax", "exit", "base", "import", "exit-late", "old"],
)
def test_a_shadowed_sitecustomize_runs_as_it_would_without_us(bench: Bench, autoperf: dict[str, str]) -> None:
    bench.write({**autoperf, "theirs/sitecustomize.py": THEIRS, "later/sitecustomize.py": "print('never')"})
    check = "import sitecustomize; print(sitecustomize.mine)"
    bench.path(bench.folder / "theirs", bench.folder / "later", bench.folder / "fake")
    alone = bench.python("-c", check)
    bench.path(TEMPLATE, bench.folder / "theirs", bench.folder / "later", bench.folder / "fake", TEMPLATE)
    assert bench.python("-c", check) == alone
    ran = bench.python("host/run_ui.py")
    assert ran.out.splitlines()[0] == alone.out.splitlines()[0]
    assert (ran.code, ran.out.splitlines()[-1], ran.err) == (0, "host runs", "")


def test_without_autoperf_the_host_runs_and_nothing_is_said(bench: Bench) -> None:
    bench.path(TEMPLATE)
    assert vars(bench.python("host/run_ui.py")) == {"code": 0, "out": "host runs\n", "err": ""}


@pytest.mark.parametrize("raised", ["ValueError('bad')", "SystemExit(5)", "ImportError('x', name='x')"])
def test_an_exception_of_theirs_ends_as_without_us(bench: Bench, raised: str) -> None:
    bench.write({"theirs/sitecustomize.py": f"raise {raised}\n"})
    bench.path(bench.folder / "theirs")
    alone = bench.python("-c", "print('on')")
    bench.path(TEMPLATE, bench.folder / "theirs")
    chained = bench.python("-c", "print('on')")
    assert (chained.code, chained.out) == (alone.code, alone.out)
    # Only the traceback of a fatal exit names the file that chained.
    assert chained.err.splitlines()[-1:] == alone.err.splitlines()[-1:]


def test_two_bootstraps_on_one_path_make_one_finder_and_reach_theirs(bench: Bench) -> None:
    bench.write({"theirs/sitecustomize.py": "print('theirs')\n"})
    copy = shutil.copytree(TEMPLATE, bench.folder / "copy")
    bench.path(TEMPLATE, copy, bench.folder / "theirs")
    count = "import sys; print(sum(type(f).__name__ == 'AutoperfFinder' for f in sys.meta_path))"
    assert bench.python("-c", count).out.splitlines() == ["theirs", "1"]


@pytest.mark.parametrize("option", ["-S", "-I", "-E"])
def test_options_that_skip_sitecustomize_leave_a_plain_python(bench: Bench, option: str) -> None:
    result = bench.python(option, "-c", "import sys; print(sys.meta_path[0])")
    assert "Autoperf" not in result.out
    assert (result.code, result.err) == (0, "")


FOLLOWED = {
    "execv": (
        "if len(sys.argv) < 2: os.execv(sys.executable, [sys.executable, sys.argv[0], 'again'])\n"
        "import agent\n"
    ),
    "fork": (
        "if os.fork(): sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\nimport agent\nsys.stdout.flush()\n"
    ),
    "spawn": (
        "import multiprocessing\n"
        "def work():\n    import agent\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    child.start(); child.join(); sys.exit(child.exitcode)\n"
    ),
    "subprocess": "import subprocess\nsubprocess.check_call([sys.executable, 'host/run_ui.py'])\n",
}


@pytest.mark.parametrize("way", FOLLOWED)
def test_follows_the_host_into_its_other_processes(bench: Bench, way: str) -> None:
    bench.write({"host/start.py": "import os, sys\n" + FOLLOWED[way]})
    result = bench.python("host/start.py")
    assert [line for line in result.out.splitlines() if line.startswith("asked")] == ["asked host False"]
    assert (result.code, result.err) == (0, "")


LAUNCH = (
    "import os, sys; os.environ['AUTOPERF_LAUNCH_PID'] = str(os.getpid())\n"
    "os.execv(sys.executable, sys.orig_argv[:1] + sys.argv[1:])"
)


def test_the_launched_process_says_which_interpreter_lacks_autoperf(bench: Bench) -> None:
    bench.path(TEMPLATE)
    result = bench.python("-c", LAUNCH, "host/run_ui.py")
    assert result.out == "host runs\n"
    assert result.err.count("\n") == 1
    assert "lacks autoperf; install it with: " in result.err
    assert f"{REPOSITORY}\n" in result.err
    bench.environ["AUTOPERF_QUIET"] = "1"
    assert bench.python("-c", LAUNCH, "host/run_ui.py").err == ""


def test_a_broken_autoperf_is_named_by_the_launched_process_only(bench: Bench) -> None:
    bench.write({"fake/autoperf/process/bootstrap.py": "raise RuntimeError('disk on fire')\n"})
    result = bench.python("-c", LAUNCH, "host/run_ui.py")
    assert result.out == "host runs\n"
    assert result.err.count("\n") == 1
    assert "RuntimeError: disk on fire" in result.err
    assert bench.python("host/run_ui.py").err == ""


def test_another_environment_without_autoperf_is_silent(bench: Bench) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bench.folder / "venv"], check=True)
    bench.path(TEMPLATE)
    other = bench.folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    assert vars(bench.run(other, "host/run_ui.py")) == {"code": 0, "out": "host runs\n", "err": ""}


def test_an_interrupt_while_the_host_arrives_is_the_host_s_own(bench: Bench) -> None:
    bench.write({"fake/autoperf/process/bootstrap.py": "def recognise(folder): raise KeyboardInterrupt\n"})
    result = bench.python("host/run_ui.py")
    assert (result.code, result.out) == (-signal.SIGINT, "")
    assert result.err.endswith("KeyboardInterrupt\n")


def test_a_folder_that_is_merely_called_sitecustomize_is_no_module(bench: Bench) -> None:
    bench.write({"theirs/sitecustomize/data.txt": ""})
    bench.path(TEMPLATE, bench.folder / "theirs")
    assert vars(bench.python("-c", "print('on')")) == {"code": 0, "out": "on\n", "err": ""}


def test_the_bare_interpreter_of_these_tests_has_no_autoperf(tmp_path: Path) -> None:
    assert Bench(tmp_path).run(bare_python(), "-c", "import autoperf").code == 1
