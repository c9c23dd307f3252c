"""Modules known by their very source: used again, as long as what they hold is as it was."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest

from autoperf.instrumentation.agentzero.loading import reviewed
from autoperf.instrumentation.agentzero.loading.purity import guard
from autoperf.patching.sources import text_digest

SOURCE = """
import re
from dataclasses import dataclass
from other_module import Base, SHARED

TABLE: dict[str, int] = {"first": 1}
LIMIT = 1

@dataclass
class State:
    on: bool
    shells: dict

class T(Base):
    patterns = [re.compile("a", re.IGNORECASE)]
    names = ["first", "second"]

    def execute(self):
        return State(True, {}), TABLE.get("first"), make_dir

def make_dir(path):
    pass
"""


@pytest.fixture
def look(tmp_path, monkeypatch):
    other = types.ModuleType("other_module")
    vars(other).update(Base=type("Base", (), {}), SHARED=[])
    monkeypatch.setitem(sys.modules, "other_module", other)
    monkeypatch.setattr(reviewed, "STATELESS", {text_digest(SOURCE)})

    def look_at(source):
        path = tmp_path / "probe.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location("probe", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "probe", module)  # where dataclasses look
        spec.loader.exec_module(module)
        return module, guard(module, path.read_bytes())

    return look_at


def test_a_module_that_was_read_may_be_used_again(look):
    _, found = look(SOURCE)
    assert found is not None
    assert found.holds()


@pytest.mark.parametrize("change", [("1}", "2}"), ("pass", "return 1"), ("patterns = [", "patterns = [1, ")])
def test_any_other_source_is_looked_at_as_before(look, change):
    _, found = look(SOURCE.replace(*change))
    assert found is None


@pytest.mark.parametrize(
    "change",
    [
        "module.TABLE['second'] = 2",
        "module.TABLE['first'] = 2",
        "module.TABLE = dict(module.TABLE)",
        "module.T.patterns.append(1)",
        "module.T.patterns.append(module.T.names.pop(0))",
        "module.T.names.append(module.T.patterns.pop(0))",
        "module.T.patterns = list(module.T.patterns)",
        "module.LIMIT = True",
        "module.State.__init__ = lambda self: None",
        "module.State.__eq__.n = 1",
        "module.State.more = 1",
        "other.Base = type('Base', (), {})",
        "other.SHARED = []",
        "del sys.modules['other_module']",
    ],
)
def test_until_something_in_it_changes(look, change):
    module, found = look(SOURCE)
    assert found is not None
    exec(change, {"module": module, "other": sys.modules["other_module"], "sys": sys})
    assert not found.holds()


def test_what_it_shares_with_others_is_theirs(look):
    _, found = look(SOURCE)
    sys.modules["other_module"].SHARED.append(1)
    assert found is not None
    assert found.holds()


def test_bytes_that_are_no_text_are_not_known():
    assert not reviewed.stateless(b"\xff\xfe")
