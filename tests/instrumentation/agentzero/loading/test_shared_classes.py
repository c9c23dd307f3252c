"""Class loading in front of a loader that keeps its modules in sys.modules until restart (v0.8 to v0.9.2)."""

from __future__ import annotations

import shutil
import sys
import types

import pytest

from autoperf.errors import failures
from tests.loaders import PURE, SHARED, Host


@pytest.fixture
def base(monkeypatch):
    """The module with the base class, as the host's helpers would be."""
    module = types.ModuleType("the_base")
    exec("RUNS = []\nclass Tool:\n    pass\nclass Other:\n    pass\n", vars(module))
    monkeypatch.setitem(sys.modules, "the_base", module)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return module


@pytest.fixture
def shared(tmp_path, base, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Host(tmp_path, SHARED, shared=True)
    for name in [n for n in sys.modules if n.split(".")[0] == "toolbox"]:
        del sys.modules[name]


def test_shared_modules_stay_what_they_were_until_the_files_come_or_go(shared, base):
    shared.write("toolbox/__init__.py", "")
    shared.write("toolbox/a.py", PURE.format("a"))
    classes = [shared.folder("toolbox", "a.py", base.Tool)[0] for _ in range(4)]
    assert len(set(classes)) == 1
    shared.write("toolbox/a.py", PURE.format("edited"))
    assert shared.folder("toolbox", "a.py", base.Tool) == classes[:1], "the bare host keeps it, so do we"
    (shared.root / "toolbox/a.py").unlink()
    assert shared.folder("toolbox", "a.py", base.Tool) == []
    shared.write("toolbox/a.py", PURE.format("back"))
    assert shared.folder("toolbox", "a.py", base.Tool) == classes[:1]


def test_a_shared_module_that_was_replaced_is_asked_for_again(shared, base):
    shared.write("toolbox/__init__.py", "")
    shared.write("toolbox/a.py", PURE.format("a"))
    for _ in range(3):
        old = shared.folder("toolbox", "a.py", base.Tool)[0]
    del sys.modules["toolbox.a"]
    shared.write("toolbox/a.py", PURE.format("edited"))
    new = shared.folder("toolbox", "a.py", base.Tool)[0]
    assert (old.said, new.said) == ("a", "edited")


def test_a_folder_that_goes_while_the_host_reads_it_is_no_failure_of_ours(shared, base, monkeypatch):
    shared.write("toolbox/__init__.py", "")
    shared.write("toolbox/a.py", PURE.format("a"))
    monkeypatch.setattr(failures, "_kinds", {})
    for _ in range(2):
        base.__dict__["leave"] = lambda: shutil.rmtree(shared.root / "toolbox")
        shared.write("toolbox/__init__.py", "")
        shared.write("toolbox/b.py", "import the_base\nthe_base.leave()\nclass T(the_base.Tool):\n    pass\n")
        sys.modules.pop("toolbox.b", None)
        assert [one.__name__ for one in shared.folder("toolbox", "b.py", base.Tool)] == ["T"]
        assert not (shared.root / "toolbox").exists()
    assert failures.as_rows() == []
    assert shared.cache.info().currsize == 0
