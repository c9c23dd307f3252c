"""What earlier versions installed goes on working beside this package: it reads files of it by their paths.

``installed_0_1_0.py`` is the bootstrap as 0.1.0 wrote it: into a folder on PYTHONPATH, into site-packages as
``autoperf_startup.py``, and into the folder of ``bootstrap --copy``. It is never changed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.interpreters import REPOSITORY, Bench

INSTALLED = Path(__file__).with_name("installed_0_1_0.py")
AGENT = REPOSITORY / "examples" / "mini_agent" / "run_ui.py"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.environ["AUTOPERF_HOME"] = str(tmp_path / "state")
    return made


def starts(bench: Bench) -> bool:
    told = bench.run(sys.executable, AGENT, "--messages", "1", "--tools", "1")
    assert told.code == 0
    return "autoperf: Agent Zero" in told.err


def test_a_bootstrap_on_pythonpath(bench: Bench) -> None:
    shutil.copyfile(INSTALLED, bench.write({"old/.keep": ""}) / "old" / "sitecustomize.py")
    bench.path(bench.folder / "old", REPOSITORY)
    assert starts(bench)


def test_a_file_in_site_packages(bench: Bench) -> None:
    site = (
        bench.write({"site/sitecustomize.py": "import autoperf_startup; autoperf_startup.install()\n"})
        / "site"
    )
    shutil.copyfile(INSTALLED, site / "autoperf_startup.py")
    (site / "autoperf").symlink_to(REPOSITORY / "autoperf")
    bench.path(site)
    assert starts(bench)


def test_a_copied_folder_whose_package_was_renewed(bench: Bench) -> None:
    folder = bench.write({"copied/autoperf-packages/.keep": ""}) / "copied"
    shutil.copyfile(INSTALLED, folder / "sitecustomize.py")
    (folder / "autoperf-packages" / "autoperf").symlink_to(REPOSITORY / "autoperf")
    bench.path(folder)
    assert starts(bench)


def test_the_ways_in_by_name(bench: Bench) -> None:
    bench.path(REPOSITORY)
    told = bench.run(
        sys.executable,
        "-c",
        "import autoperf, autoperf.arrival, autoperf.__main__\n"
        "print(all(callable(getattr(autoperf, name)) for name in ("
        "'instrument', 'uninstrument', 'status', 'recommendations', 'clear_cache', 'start_monitoring',"
        " 'stop_monitoring')), callable(autoperf.arrival.arrive), callable(autoperf.arrival.wait))",
    )
    assert told.out.strip() == "True True True"
