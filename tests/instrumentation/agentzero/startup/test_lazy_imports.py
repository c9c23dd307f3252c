"""A host's module with a heavy import, bare and with the import put off: the same answers to everything."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.heavy_modules import FROM_OUTSIDE, HEAVY, MODULES, PUT_OFF, UTIL

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[4]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path):
    """A host's folder, a folder of packages, and a way to run code with both on the path."""
    write(
        tmp_path / "packages",
        {"sentence_transformers/__init__.py": HEAVY, "sentence_transformers/util.py": UTIL},
    )
    (tmp_path / "host").mkdir()

    def run(code: str, *, put_off: bool, undo: bool = False):
        start = """
            from pathlib import Path
            from autoperf.instrumentation.agentzero.startup import lazy_imports as imports
            from autoperf.instrumentation.agentzero.context import Probe
            probe = Probe(None)
            probe.root = HOST
            assert list(imports.rows({}, probe)) == []
        """
        script = [
            "import sys, json",
            f"HOST = {str(tmp_path / 'host')!r}",
            f"sys.path[:0] = [HOST, {str(tmp_path / 'packages')!r}, {str(REPOSITORY)!r}]",
            textwrap.dedent(start) if put_off else "",
            "[work() for work in probe.at_stop]" if undo else "",
            "sys.dont_write_bytecode = True",
            textwrap.dedent(code),
            "print(json.dumps(told))",
        ]
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(script)], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    return tmp_path / "host", run


@pytest.mark.parametrize("name", MODULES)
def test_the_same_answers(world, name):
    host, run = world
    write(host, {"models.py": MODULES[name]})
    expected, _ = run(FROM_OUTSIDE, put_off=False)
    found, _ = run(FROM_OUTSIDE, put_off=True)
    if name in PUT_OFF:
        # Asking for the attribute has brought it there: nobody can see that it was not before.
        assert set(expected) == set(found)
    assert found == expected
    assert isinstance(expected["ask"], list)
    assert expected["ask"][0] != "NameError"


@pytest.mark.parametrize("name", MODULES)
def test_it_is_put_off_where_that_is_safe(world, name):
    host, run = world
    write(host, {"models.py": MODULES[name]})
    code = """
        import models
        before = "sentence_transformers" in sys.modules
        models.ask()
        told = [before, "sentence_transformers" in sys.modules]
    """
    told, _ = run(code, put_off=True)
    assert told == [name not in PUT_OFF, True]


def test_a_package_that_is_missing_fails_where_it_does_bare(world):
    host, run = world
    code = """
        import traceback
        told = []
        for attempt in range(2):
            try: import models
            except ImportError as error:
                told += [type(error).__name__, str(error), error.name,
                         [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
                          if "models" in frame.filename]]
        told += ["models" in sys.modules]
    """
    for missing in (
        "import torch",
        "from whisper import load_model",
        "from sentence_transformers import absent",
        "import sentence_transformers.absent",
        "from sentence_transformers.absent import x",
        "import sentence_transformers, torch",
    ):
        write(host, {"models.py": f"x = 1\n{missing}\ndef f(): return 1\n"})
        expected, _ = run(code, put_off=False)
        assert run(code, put_off=True)[0] == expected, missing
        assert expected[-1] is False


def test_a_broken_package_raises_its_own_error_when_it_is_used(world):
    """The one thing that is noticed: bare, the module that imports it cannot be imported."""
    host, run = world
    write(host, {"models.py": MODULES["a class by name"]})
    (host.parent / "packages/sentence_transformers/util.py").write_text("raise OSError('no CUDA')\n")
    code = """
        told = []
        try: import models
        except OSError as error: told.append(str(error))
        for attempt in range(2):
            try: models.Wrapper()
            except OSError as error: told.append(["used", str(error), "sentence_transformers" in sys.modules])
            except NameError: pass
    """
    assert run(code, put_off=False)[0] == ["no CUDA"]
    assert run(code, put_off=True)[0] == [["used", "no CUDA", False]] * 2


def test_other_packages_import_it_at_once(world):
    host, run = world
    write(host, {"models.py": "import beside\ndef ask(): return beside.T.kind\n"})
    write(
        host.parent / "packages",
        {"beside.py": "from sentence_transformers import SentenceTransformer as T\n"},
    )
    code = "import models\ntold = ['sentence_transformers' in sys.modules, models.ask()]"
    assert run(code, put_off=True)[0] == [True, "real"]


def test_what_is_imported_already_is_bound_at_once(world):
    host, run = world
    write(host, {"models.py": MODULES["a class by name"]})
    code = """
        import sentence_transformers, models
        told = ["SentenceTransformer" in vars(models), models.ask()[0]]
    """
    assert run(code, put_off=True)[0] == [True, "real"]


def test_a_name_that_somebody_sets_is_the_one_used(world):
    host, run = world
    write(host, {"models.py": MODULES["a class by name"]})
    code = """
        import models
        class Fake:
            kind = "fake"
            def __init__(self, name): pass
        models.SentenceTransformer = Fake
        told = [models.Wrapper().model.kind, "sentence_transformers" in sys.modules]
        del models.SentenceTransformer
        told += [models.Wrapper().model.kind]
    """
    assert run(code, put_off=True)[0] == ["fake", False, "real"]


def test_threads_that_use_it_at_once_get_one_class(world):
    host, run = world
    write(host, {"models.py": MODULES["a class by name"]})
    code = """
        import models, threading
        barrier, found = threading.Barrier(8), []
        def use():
            barrier.wait()
            found.append(type(models.Wrapper().model))
        threads = [threading.Thread(target=use) for _ in range(8)]
        [t.start() for t in threads]; [t.join() for t in threads]
        told = [len(found), len(set(found))]
    """
    told, errors = run(code, put_off=True)
    assert told == [8, 1]
    assert errors.count("heavy is imported") == 1


def test_undone_nothing_is_put_off(world):
    host, run = world
    write(host, {"models.py": MODULES["a class by name"]})
    code = """
        import models
        finders = [type(finder).__name__ for finder in sys.meta_path]
        told = ["sentence_transformers" in sys.modules, "HeavyFinder" in finders]
    """
    assert run(code, put_off=True, undo=True)[0] == [True, False]


def test_packages_that_lie_in_the_host_s_folder_are_not_the_host(world):
    host, run = world
    write(
        host,
        {".venv/lib/site-packages/docker.py": "import sentence_transformers\n", "docker/readme": "a folder"},
    )
    code = """
        sys.path.insert(0, HOST + "/.venv/lib/site-packages")
        import docker
        told = ["sentence_transformers" in sys.modules]
    """
    assert run(code, put_off=True)[0] == [True]


def test_a_module_that_python_cannot_read_fails_as_it_does_bare(world):
    host, run = world
    write(host, {"models.py": "import sentence_transformers\ndef f(:\n"})
    code = """
        try: import models
        except SyntaxError as error: told = [error.lineno, error.msg]
    """
    assert run(code, put_off=True)[0] == run(code, put_off=False)[0]


def test_what_python_warns_of_in_a_module_is_not_said_by_us(world):
    host, run = world
    text = "import sentence_transformers\nTEXT = 'a\\ b'\ndef f(): return sentence_transformers\n"
    write(host, {"models.py": text})
    code = "import models\ntold = 'sentence_transformers' in sys.modules"
    told, errors = run(code, put_off=True)
    assert told is False
    assert "Warning" not in errors
