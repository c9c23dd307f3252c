"""What keeps the bootstrap out of a command is said before it begins, and nothing where nothing does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from autoperf.process import shadows
from tests.interpreters import REPOSITORY, Bench, bare_python


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.path(REPOSITORY)
    made.environ["AUTOPERF_HOME"] = str(tmp_path / "state")
    return made


def installed(tmp_path: Path, *names: str) -> Path:
    """An interpreter's folder with ``names`` in its site-packages, and a launcher beside it."""
    site = tmp_path / "venv" / "lib" / "python3.12" / "site-packages"
    site.mkdir(parents=True)
    for name in names:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("[opentelemetry_pre_instrument]")
    binaries = tmp_path / "venv" / "bin"
    binaries.mkdir()
    for program in ("opentelemetry-instrument", "python", "python3.12"):
        (binaries / program).write_text("#!/bin/sh\n")
        (binaries / program).chmod(0o755)
    return binaries


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("opentelemetry-instrument python x.py", "opentelemetry-instrument puts its sitecustomize before"),
        ("{bin}/opentelemetry-instrument python x.py", "type once: autoperf install --python {bin}/python"),
        ("python -I x.py", "python -I passes over PYTHONPATH"),
        ("{bin}/python3.12 -W ignore -BE x.py", "autoperf install --python {bin}/python3.12"),
        ("python -X dev -S x.py", "python -S reads no sitecustomize"),
        ("python -uIS -m x", "leave -S away"),
        ("python x.py -I", None),
        ("python -c print() -S", None),
        ("python -m x -E", None),
        ("python -WIS -XSE x.py", None),
        ("python --check-hash-based-pycs -S x.py", None),
        ("python", None),
        ("ddtrace-run python x.py", None),
        ("newrelic-admin run-program python x.py", None),
        ("coverage run x.py", None),
    ],
)
def test_what_is_known_to_keep_autoperf_out_is_said(tmp_path: Path, command: str, said: str | None) -> None:
    binaries = installed(tmp_path)
    words = command.format(bin=binaries).split()
    line = shadows.shadow(words, f"/nowhere:{binaries}")
    assert line is None if said is None else said.format(bin=binaries) in str(line)


def test_what_is_installed_there_is_no_shadow(tmp_path: Path) -> None:
    binaries = installed(tmp_path, "autoperf-1.0.dist-info/entry_points.txt")
    assert shadows.shadow(["opentelemetry-instrument", "x"], str(binaries)) is None
    assert shadows.shadow(["python", "-I", "x"], str(binaries)) is not None
    binaries = installed(tmp_path / "other", "autoperf.pth")
    assert shadows.shadow(["opentelemetry-instrument", "x"], str(binaries)) is None
    assert shadows.shadow(["python", "-I", "x"], str(binaries)) is None
    assert shadows.shadow(["python", "-S", "x"], str(binaries)) is not None


def test_the_line_comes_before_the_command_begins_unless_quiet(bench: Bench) -> None:
    python = Path(bare_python())
    shown = bench.run(sys.executable, "-m", "autoperf", "run", python, "-I", "-c", "print('on')")
    assert (shown.code, shown.out, shown.err.count("\n")) == (0, "on\n", 1)
    assert f"{python.name} -I passes over PYTHONPATH" in shown.err
    for words in (["--quiet"], []):
        shown = bench.run(sys.executable, "-m", "autoperf", "run", *words, python, "-I", "-c", "0")
        assert (shown.code, shown.err) == (0, "")
        bench.environ["AUTOPERF_QUIET"] = "1"


@pytest.mark.parametrize(
    ("words", "tool"),
    [
        ("python -m coverage run -m autoperf run x", "coverage"),
        ("python -X dev /v/bin/coverage-3.12 run --data-file y -m autoperf run x", "coverage"),
        ("python -Xfrozen_modules=off -m debugpy --listen 5678 -m autoperf run x", "debugpy"),
        ("python /v/bin/logfire run -m autoperf run x", "logfire"),
        ("python -m autoperf run coverage run x", None),
        ("python /v/bin/autoperf run python -m coverage run x", None),
        ("python -c import_autoperf coverage", None),
        ("python", None),
        ("python -m", None),
    ],
)
def test_a_tool_around_the_launcher_is_named(words: str, tool: str | None) -> None:
    line = shadows.around(words.split())
    assert line is None if tool is None else str(line).startswith(f"{tool} ends here")


def test_an_interpreter_s_own_sitecustomize_is_not_put_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "last"):
        (tmp_path / name).mkdir()
    standard = os.path.dirname(os.__file__)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "first"), standard, str(tmp_path / "last")])
    module = type(sys)("sitecustomize")
    monkeypatch.setitem(sys.modules, "sitecustomize", module)
    assert shadows.with_instrument("/a") == "/a"
    module.__file__ = str(tmp_path / "last" / "sitecustomize.py")
    assert shadows.with_instrument("/a") == "/a"
    module.__file__ = str(tmp_path / "first" / "sitecustomize.py")
    assert shadows.with_instrument("/a") == os.pathsep.join([str(tmp_path / "first"), "/a"])
    assert shadows.with_instrument("") == str(tmp_path / "first")
    assert shadows.with_instrument(str(tmp_path / "first")) == str(tmp_path / "first")
