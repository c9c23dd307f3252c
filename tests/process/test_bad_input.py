"""Whatever is wrong around autoperf, the host goes on as without it, and at most one line says so."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from autoperf.telemetry.store.store import FILE_NAME

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "examples" / "mini_agent"
SHORT = ("--messages", "1", "--tools", "3", "--chunk", "1000")

# Runs the mini agent's main after a change to it, as a tool or plugin of the host might make at run time.
MEDDLE = """
import runpy, sys
sys.argv[0] = "run_ui.py"
sys.path.insert(0, {agent!r})
import agent, conversation
{change}
runpy.run_path({agent!r} + "/run_ui.py", run_name="__main__")
"""


def environment(**more: str) -> dict[str, str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AUTOPERF_", "OTEL_", "PYTEST_", "PYTHON"))
    }
    return {**clean, "PYTHONPATH": str(ROOT), **more}


def run(
    home: Path,
    command: list[str],
    *,
    launched: bool = True,
    limit: int | None = None,
    cwd: Path | None = None,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    # -B: bytecode files would meet the limit as well.
    launcher = [sys.executable, "-m", "autoperf", "run", "--home", str(home)] if launched else []
    return subprocess.run(
        [*launcher, sys.executable, "-B", *command],
        env=environment(**more),
        cwd=cwd or home.parent,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ours(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on stderr beside the start line; all of stderr must be ours."""
    lines = done.stderr.splitlines()
    assert all(line.startswith("autoperf: ") for line in lines), done.stderr
    starts = [line for line in lines if line.startswith("autoperf: Agent Zero ")]
    assert len(starts) == 1, done.stderr
    return [line for line in lines if line not in starts]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the short conversation prints without autoperf."""
    done = run(tmp_path_factory.mktemp("bare") / "home", [str(AGENT / "run_ui.py"), *SHORT], launched=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def store_of(home: Path) -> Path:
    """The store's file after one good run."""
    done = run(home, [str(AGENT / "run_ui.py"), *SHORT])
    assert ours(done) == []
    return home / FILE_NAME


def test_a_corrupt_store_is_put_aside_and_said(tmp_path: Path, bare: str) -> None:
    home = tmp_path / "home"
    store = store_of(home)
    for beside in home.glob(store.name + "-*"):
        beside.unlink()
    store.write_bytes(b"this is no database at all, but it is somebody's file" * 100)
    done = run(home, [str(AGENT / "run_ui.py"), *SHORT])
    assert (done.returncode, done.stdout) == (0, bare)
    (line,) = ours(done)
    assert "not a database" in line or "corrupt" in line or "damaged" in line, line
    kept = [
        path
        for path in home.iterdir()
        if path.is_file() and path.read_bytes().startswith(b"this is no database")
    ]
    assert len(kept) == 1, sorted(home.iterdir())


def test_a_locked_store_costs_at_most_one_line(tmp_path: Path, bare: str) -> None:
    home = tmp_path / "home"
    store = store_of(home)
    with sqlite3.connect(store, isolation_level=None) as holder:
        before = holder.execute("SELECT count(*) FROM sqlite_master").fetchone()
        holder.execute("BEGIN EXCLUSIVE")
        done = run(home, [str(AGENT / "run_ui.py"), *SHORT])
        holder.execute("ROLLBACK")
        assert holder.execute("SELECT count(*) FROM sqlite_master").fetchone() == before
    assert (done.returncode, done.stdout) == (0, bare)
    assert len(ours(done)) <= 1


def test_a_state_directory_below_a_file_is_one_line(tmp_path: Path, bare: str) -> None:
    (tmp_path / "file").write_text("mine")
    done = run(tmp_path / "file" / "home", [str(AGENT / "run_ui.py"), *SHORT], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, bare)
    (line,) = ours(done)
    assert "Not a directory" in line or "not a folder" in line.lower() or "file" in line, line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("limit", [0, 30_000])
def test_a_full_disk_is_one_line_at_most(tmp_path: Path, bare: str, limit: int) -> None:
    done = run(tmp_path / "home", [str(AGENT / "run_ui.py"), *SHORT], limit=limit)
    assert (done.returncode, done.stdout) == (0, bare)
    assert len(ours(done)) <= 1


def test_a_full_disk_under_an_old_store_loses_nothing_old(tmp_path: Path, bare: str) -> None:
    home = tmp_path / "home"
    store = store_of(home)
    done = run(home, [str(AGENT / "run_ui.py"), *SHORT], limit=store.stat().st_size)
    assert (done.returncode, done.stdout) == (0, bare)
    assert len(ours(done)) <= 1
    with sqlite3.connect(store) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTOPERF_TOOL_CACHE_SIZE", "many"),
        ("AUTOPERF_TOOL_CACHE_TTL", "-1"),
        ("AUTOPERF_FEATURES", "tools,wings"),
        ("AUTOPERF_QUIET", "perhaps"),
        ("AUTOPERF_CACHE_SIZE", "5"),
    ],
)
def test_a_bad_option_is_named_and_passed_over(tmp_path: Path, bare: str, name: str, value: str) -> None:
    done = run(tmp_path / "home", [str(AGENT / "run_ui.py"), *SHORT], **{name: value})
    assert (done.returncode, done.stdout) == (0, bare)
    (line,) = ours(done)
    assert name in line


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A mini agent of one's own, to be broken."""
    shutil.copytree(AGENT, tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "agent"


@pytest.mark.parametrize(
    "text",
    [
        "class (:\n",
        "raise RuntimeError('not today')\n",
        "",
        "\0",
        "import os\nX = '\\d'\nraise SystemError\n",
    ],
)
def test_a_broken_tool_file_fails_as_it_does_without_us(tmp_path: Path, copied: Path, text: str) -> None:
    (copied / "tools" / "calculator.py").write_text(text)
    command = [str(copied / "run_ui.py"), *SHORT]
    bare, done = run(tmp_path / "home", command, launched=False), run(tmp_path / "home", command)
    assert (done.returncode, done.stdout) == (bare.returncode, bare.stdout)
    said = [line for line in done.stderr.splitlines() if line.startswith("autoperf: ")]
    assert len(said) == 1, "the start line, and nothing about the host's own errors"
    assert [line for line in done.stderr.splitlines() if line not in said] == bare.stderr.splitlines()


@pytest.mark.parametrize("name", ["a/b/../c", "/etc/passwd", "x" * 10_000, "nul\\0nul", "..", "half_\\ud83d"])
def test_tool_names_that_nobody_should_send(tmp_path: Path, name: str) -> None:
    change = (
        "import initialize\n"
        "context = agent.AgentContext(initialize.initialize_agent(tools=1, chunk=50))\n"
        f"given = dict(name='{name}', method=None, args={{}}, message='', loop_data=None)\n"
        "found = context.agent0.get_tool(**given)\n"
        "print(type(found).__name__)\n"
    )
    script = MEDDLE.format(agent=str(AGENT), change=change)
    (tmp_path / "run_ui.py").write_text(script)
    command = [str(tmp_path / "run_ui.py"), *SHORT]
    bare, done = run(tmp_path / "home", command, launched=False), run(tmp_path / "home", command)
    assert bare.returncode == 0, bare.stderr
    assert (done.returncode, done.stdout) == (0, bare.stdout)
    assert ours(done) == []


@pytest.mark.parametrize(
    "change",
    [
        "del agent.Agent.handle_intervention\nasync def f(self, progress=''): pass\n"
        "agent.Agent.handle_intervention = f",
        "from helpers import modules\n"
        "for n in ('load_classes_from_file', 'load_classes_from_folder'): delattr(modules, n)",
        "from helpers import extension\ndel extension._get_extension_classes",
        "from helpers import cache\ndel cache.determine_cache_key",
        "from helpers import mcp_handler\ndel mcp_handler.MCPConfig.get_tool",
    ],
)
def test_a_function_removed_at_run_time_breaks_what_it_breaks_without_us(tmp_path: Path, change: str) -> None:
    (tmp_path / "run_ui.py").write_text(MEDDLE.format(agent=str(AGENT), change=change))
    command = [str(tmp_path / "run_ui.py"), *SHORT]
    bare, done = run(tmp_path / "home", command, launched=False), run(tmp_path / "home", command)
    assert (done.returncode, done.stdout) == (bare.returncode, bare.stdout)
    said = [line for line in done.stderr.splitlines() if line.startswith("autoperf: ")]
    assert len(said) <= 2, done.stderr
