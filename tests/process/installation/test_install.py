"""Installing into one interpreter, copying a bootstrap, and taking it away again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from autoperf.errors import AutoperfError
from autoperf.process.installation import bundle, doctor, install, install_hint
from autoperf.process.installation.interpreter import alone, probe
from tests.interpreters import REPOSITORY, Bench, bare_python
from tests.process.test_bootstrap import ARRIVAL, HOST, RECORDER

pytestmark = pytest.mark.slow


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    subprocess.run([bare_python(), "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"


@pytest.fixture
def equipped(venv: Path) -> Path:
    """An interpreter that has autoperf and all it needs: those of this one."""
    site = Path(str(probe(str(venv), alone()).site_packages))
    (site / "equipment.pth").write_text(f"{REPOSITORY}\n{sysconfig.get_path('purelib')}\n")
    return venv


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write({**HOST, **RECORDER, **ARRIVAL})
    return made


def listing(folder: str | None) -> set[str]:
    return set(os.listdir(str(folder)))


def autoperf(bench: Bench, *words: str | Path) -> tuple[int, str, str]:
    environ = {**bench.environ, "PYTHONPATH": str(REPOSITORY)}
    done = Bench(bench.folder, environ).run(sys.executable, "-m", "autoperf", *words)
    return done.code, done.out, done.err


def test_an_interpreter_describes_itself(venv: Path) -> None:
    python = probe(str(venv), alone())
    assert python.version == sys.version_info[:3]
    assert python.site_packages is not None
    assert Path(python.site_packages).is_relative_to(venv.parent.parent)
    assert (python.autoperf, python.has_pip, python.reached) == (None, False, False)


def test_nothing_is_written_where_autoperf_is_missing(bench: Bench, venv: Path) -> None:
    before = listing(probe(str(venv), alone()).site_packages)
    code, out, err = autoperf(bench, "install", "--python", venv)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"lacks autoperf; install it with: uv pip install --python {venv} {REPOSITORY}" in err
    assert listing(probe(str(venv), alone()).site_packages) == before


def test_installed_hands_over_and_is_idempotent(bench: Bench, equipped: Path) -> None:
    venv = equipped
    before = listing(probe(str(venv)).site_packages)
    code, out, err = autoperf(bench, "install", "--python", venv)
    assert (code, out.count("wrote "), err) == (0, 2, "")
    assert autoperf(bench, "install", "--python", venv)[1].count("already there") == 2

    site = Path(str(probe(str(venv)).site_packages))
    shutil.copytree(bench.folder / "fake" / "autoperf", site / "autoperf")
    assert bench.run(venv, "host/run_ui.py").out.splitlines() == ["asked host False", "host runs"]
    assert autoperf(bench, "uninstall", "--python", venv)[1].count("removed") == 2
    assert listing(str(site)) - before == {"autoperf", "__pycache__"} & (listing(str(site)) - before)
    assert bench.run(venv, "host/run_ui.py").out.splitlines() == ["host runs"]
    assert autoperf(bench, "uninstall", "--python", venv)[1].startswith("nothing of autoperf")


def test_what_is_installed_can_be_read_by_every_user_and_leaves_no_bytecode(
    bench: Bench, equipped: Path
) -> None:
    autoperf(bench, "install", "--python", equipped)
    site = Path(str(probe(str(equipped), alone()).site_packages))
    assert {path.stat().st_mode & 0o777 for path in site.glob("autoperf*")} == {0o644}
    assert list((site / "__pycache__").glob("autoperf_startup.*.pyc"))
    autoperf(bench, "uninstall", "--python", equipped)
    assert not list(site.rglob("autoperf*"))


def test_what_cannot_be_removed_is_named(bench: Bench, venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = probe(str(venv))
    install.install(python)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(AutoperfError, match=r"autoperf.pth cannot be removed: Permission denied"):
        install.uninstall(python)


def test_the_checkout_to_install_from_is_found_by_its_record(tmp_path: Path) -> None:
    record = tmp_path / "site" / "autoperf-0.1.0.dist-info" / "direct_url.json"
    record.parent.mkdir(parents=True)
    package = str(tmp_path / "site" / "autoperf")
    for url, found in [
        ((tmp_path / "site").as_uri(), str(tmp_path / "site")),
        ((tmp_path / "gone").as_uri(), None),
        ("https://example.org/autoperf", None),
    ]:
        record.write_text(json.dumps({"url": url}))
        assert install_hint.source_tree(package) == found


def test_the_line_cannot_break_an_interpreter_that_lost_autoperf(bench: Bench, equipped: Path) -> None:
    autoperf(bench, "install", "--python", equipped)
    site = Path(str(probe(str(equipped)).site_packages))
    (site / "equipment.pth").unlink()
    assert vars(bench.run(equipped, "host/run_ui.py")) == {"code": 0, "out": "host runs\n", "err": ""}
    (site / "autoperf_startup.py").write_text("raise SystemExit(9)")
    assert vars(bench.run(equipped, "host/run_ui.py")) == {"code": 0, "out": "host runs\n", "err": ""}
    (site / "autoperf_startup.py").unlink()
    assert vars(bench.run(equipped, "host/run_ui.py")) == {"code": 0, "out": "host runs\n", "err": ""}


def test_the_kill_switch_reaches_an_installed_interpreter(bench: Bench, equipped: Path) -> None:
    autoperf(bench, "install", "--python", equipped)
    bench.environ["AUTOPERF_DISABLED"] = "1"
    assert not probe(str(equipped), bench.environ).reached
    bench.environ.pop("AUTOPERF_DISABLED")
    assert probe(str(equipped), bench.environ).reached


def test_newer_pythons_get_a_start_file_too() -> None:
    assert set(install.files((3, 14, 0))) == {"autoperf.pth", "autoperf_startup.py"}
    assert install.files((3, 15, 0))["autoperf.start"] == "autoperf_startup:install\n"
    namespace: dict[str, object] = {"__name__": "autoperf_startup", "__file__": "autoperf_startup.py"}
    before = list(sys.meta_path)
    try:
        exec(install.template(), namespace)
        assert callable(namespace["install"])
        assert len(sys.meta_path) == len(before) + 1
    finally:
        sys.meta_path[:] = before


def test_a_file_of_somebody_else_is_not_touched(bench: Bench, venv: Path) -> None:
    python = probe(str(venv))
    theirs = Path(str(python.site_packages)) / "autoperf.pth"
    theirs.write_text("import theirs\n")
    with pytest.raises(AutoperfError, match="not ours"):
        install.install(python)
    install.uninstall(python)
    assert theirs.read_text() == "import theirs\n"


@pytest.mark.parametrize(
    ("python", "said"), [("no-such-python", "no such Python"), ("true", "not a Python 3")]
)
def test_what_is_no_python_is_named(bench: Bench, python: str, said: str) -> None:
    code, out, err = autoperf(bench, "install", "--python", python)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err


def test_a_copied_bootstrap_needs_nothing_installed(bench: Bench) -> None:
    code, out, err = autoperf(bench, "bootstrap", "--copy", "copied")
    folder = bench.folder / "copied"
    assert (code, out) == (0, f"{folder}\n"), err
    assert sorted(path.name for path in folder.iterdir()) == [
        "__pycache__",
        "autoperf-packages",
        "sitecustomize.py",
    ]
    assert {path.suffix for path in (folder / "__pycache__").iterdir()} == {".pyc"}
    environ = {**bench.environ, "PYTHONPATH": str(folder)}
    found = list(doctor.interpreter(probe(bare_python(), environ), environ))
    assert not [finding for finding in found if finding.level == "problem"]
    assert f"a self-contained bootstrap is on PYTHONPATH: {folder}" in found[-1].text
    assert "grpcio" not in err
    bench.path(folder)
    program = (
        "import sys; sys.path.append(sys.argv[1]); import autoperf.process.config, psutil, wrapt\n"
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "loaded = (autoperf, psutil, wrapt, sys.modules['google.protobuf'])\n"
        "print({module.__file__.startswith(sys.argv[1]) for module in loaded})"
    )
    # -S: the interpreter underneath may have packages of its own, and those would win.
    result = bench.python("-S", "-c", program, folder / "autoperf-packages")
    assert (result.out, result.err) == ("{True}\n", "")
    assert bench.python("-c", "import autoperf").code == 1


def test_packages_join_the_end_of_the_path_once_the_host_is_recognised(bench: Bench) -> None:
    (bench.folder / "copied" / "autoperf-packages").mkdir(parents=True)
    (bench.folder / "copied" / "sitecustomize.py").write_text(install.template())
    shutil.copytree(
        bench.folder / "fake" / "autoperf", bench.folder / "copied" / "autoperf-packages" / "autoperf"
    )
    shutil.copytree(bench.folder / "host", bench.folder / "other")
    bench.path(bench.folder / "copied")
    tail = (
        "import agent, sys\n"
        "print(*('autoperf-packages' in str(part) for part in (sys.path[-1], sys.path[:-1])))\n"
    )
    bench.write({"host/run_ui.py": tail, "other/run_ui.py": tail})
    assert bench.python("host/run_ui.py").out.splitlines()[-1] == "True False"
    assert bench.python("other/run_ui.py").out.splitlines()[-1] == "False False"


def test_a_copy_replaces_an_older_one_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "REQUIRED", ("wrapt",))
    folder = bench.folder / "copied"
    bench.write({"copied/autoperf-packages/stale.py": "", "copied/mine.txt": "kept"})
    bench.write({"copied/sitecustomize.py": install.template(), "copied/__pycache__/sitecustomize.x.pyc": ""})
    names = bundle.copy(folder)
    assert not (folder / "__pycache__" / "sitecustomize.x.pyc").exists()
    (compiled,) = (folder / "__pycache__").glob("sitecustomize.cpython-{}{}.pyc".format(*sys.version_info))
    # Bit 0: by hash, bit 1: checked; a time stamp would not survive an image or a mount.
    assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 0b11
    assert not list((folder / "autoperf-packages" / "autoperf").rglob("__pycache__"))
    assert [name.split()[0] for name in names] == ["wrapt"]
    assert not (folder / "autoperf-packages" / "stale.py").exists()
    assert (folder / "mine.txt").read_text() == "kept"
    bench.write({"copied/sitecustomize.py": "print('theirs')\n"})
    with pytest.raises(AutoperfError, match="not ours"):
        bundle.copy(folder)


def test_a_folder_that_is_neither_empty_nor_ours_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "REQUIRED", ("wrapt",))
    bench.write({"theirs/passwd": "", "killed/.autoperf-x/y": "", "killed/autoperf-packages/z": ""})
    with pytest.raises(AutoperfError, match="theirs is neither empty nor ours"):
        bundle.copy(bench.folder / "theirs")
    assert listing(str(bench.folder / "theirs")) == {"passwd"}
    (bench.folder / "empty").mkdir()
    for folder in ("empty", "killed", "new/below"):
        assert bundle.copy(bench.folder / folder)
        assert (bench.folder / folder / "sitecustomize.py").is_file()


def test_a_copy_that_cannot_be_made_says_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write({"file": ""})
    with pytest.raises(AutoperfError, match="cannot be written"):
        bundle.copy(bench.folder / "file" / "below")
    with pytest.raises(AutoperfError, match="name a version such as"):
        bundle.copy(bench.folder / "copied", "three")
    with pytest.raises(AutoperfError, match=r"--python 3.9: autoperf needs 3.10 or newer"):
        bundle.copy(bench.folder / "copied", "3.9")
    monkeypatch.setattr(bundle, "find_spec", lambda name: None)
    monkeypatch.setattr(bundle.shutil, "which", lambda name: None)
    with pytest.raises(AutoperfError, match="need pip or uv"):
        bundle.copy(bench.folder / "copied", "3.99")
    assert not (bench.folder / "copied" / "autoperf-packages").exists()
