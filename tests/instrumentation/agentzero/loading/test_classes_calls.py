"""How a loader is called: what is remembered of one way says nothing of another."""

from __future__ import annotations

import sys
import types

import pytest

from tests.loaders import BY_PATH, Host

ALL = "    return [c for c in classes if issubclass(c, base_class) and c is not base_class]\n"
EITHER = ALL.replace("return ", "found = ") + "    return found[:1] if one_per_file else found\n"
TWO = "import the_base\nclass A(the_base.Tool): ...\nclass B(the_base.Tool): ...\n"


@pytest.fixture
def base(monkeypatch):
    module = types.ModuleType("the_base")
    module.Tool = type("Tool", (), {})
    monkeypatch.setitem(sys.modules, "the_base", module)
    return module.Tool


@pytest.fixture
def host(tmp_path):
    source = BY_PATH.replace(ALL, EITHER, 1)
    assert EITHER in source
    return Host(tmp_path, source, shared=False)


def test_a_call_by_name_says_nothing_of_calls_by_position(host, base):
    name = host.write("two.py", TWO)
    for _ in range(4):
        assert len(host.file(name, base, one_per_file=False)) == 2
        assert len(host.file(name, base)) == 1
    assert host.cache.info().hits


def test_a_file_that_is_not_there_is_the_hosts_own_error_until_it_is(host, base):
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            host.file("two.py", base)
    host.write("two.py", TWO)
    for _ in range(3):
        assert host.file("two.py", base)[0].__name__ == "A"
    (host.root / "two.py").unlink()
    with pytest.raises(FileNotFoundError):
        host.file("two.py", base)


def test_arguments_that_can_be_no_key_are_the_hosts_to_refuse(host, base):
    host.write("two.py", TWO)
    with pytest.raises(TypeError):
        host.file("two.py", [base])
