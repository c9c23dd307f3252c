"""Patches: applied on import, undone to the identical object, never louder or more broken than the host."""

from __future__ import annotations

import importlib
import inspect
import json
import linecache
import sys
import textwrap

import pytest

from autoperf.errors import AutoperfError, failures
from autoperf.errors.fence import View
from autoperf.patching import patch
from autoperf.patching.patch import Patch, PatchSet, Switch, UnneededError
from autoperf.patching.sources import expect_parameters

SOURCE = """
import json

def double(x):
    "Twice."
    return 2 * x

async def later(x):
    return x

class Base:
    def inherited(self):
        return "base"

class Thing(Base):
    def method(self, x):
        return x

    @classmethod
    def make(cls):
        return cls.__name__

    @staticmethod
    def still(x):
        return x
"""


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A module on sys.path, not imported yet; returns its name."""
    (tmp_path / "a_host_module.py").write_text(SOURCE)
    (tmp_path / "a_host_user.py").write_text("from a_host_module import double\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "a_host_module"
    for name in ("a_host_module", "a_host_user"):
        sys.modules.pop(name, None)


def plus_one(original, switch: Switch):
    return lambda call, *args, **kwargs: call(*args, **kwargs) + 1


def shout(original, switch: Switch):
    return lambda call, *args, **kwargs: call(*args, **kwargs).upper()


@pytest.fixture
def patched(host):
    """Start patch sets and stop them again."""
    started: list[PatchSet] = []

    def start(*rows: Patch) -> PatchSet:
        started.append(PatchSet(rows))
        started[-1].start()
        return started[-1]

    yield start
    for patches in started:
        patches.stop()
        assert patches._finder not in sys.meta_path


def test_a_row_is_applied_when_its_module_is_imported(host, patched):
    patches = patched(Patch(f"{host}:double", "x", plus_one))
    assert patches.rows[0].state == "waiting"
    assert not patches.settled
    module = importlib.import_module(host)
    assert patches.rows[0].state == "applied"
    assert patches.settled
    assert module.double(3) == 7


def test_a_module_imported_before_is_patched_at_once_with_its_copies_and_all_are_undone(host, patched):
    user = importlib.import_module("a_host_user")
    module = sys.modules[host]
    original = vars(module)["double"]
    patches = patched(Patch(f"{host}:double", "x", plus_one))
    assert user.double(3) == module.double(3) == 7
    patches.stop()
    assert vars(module)["double"] is original
    assert vars(user)["double"] is original


def test_copies_are_looked_for_only_where_somebody_may_have_one(host, patched, monkeypatch):
    looked = []
    swap = patch._swap_copies
    monkeypatch.setattr(
        patch, "_swap_copies", lambda name, *rest, **skip: looked.append(name) or swap(name, *rest, **skip)
    )
    module = importlib.import_module(host)
    patched(Patch(f"{host}:double", "test", plus_one))
    assert looked == []
    user = importlib.import_module("a_host_user")
    sys.modules.pop(host)
    again = importlib.import_module(host)
    user.double = again.double
    patched(Patch(f"{host}:double", "test", plus_one))
    assert looked.count("double") == 1
    assert user.double is again.double is not module.double


def test_copies_taken_while_patched_are_undone_too(host, patched):
    patches = patched(Patch(f"{host}:double", "x", plus_one))
    user = importlib.import_module("a_host_user")
    assert user.double(3) == 7
    patches.stop()
    assert user.double is sys.modules[host].double
    assert user.double(3) == 6


def test_what_a_module_only_imported_is_not_replaced_elsewhere(host, patched):
    module = importlib.import_module(host)
    stand_in = View({"dumps": lambda call, value: f"seen {call(value)}"})
    patches = patched(Patch(f"{host}:json", "x", lambda original, switch: stand_in))
    assert module.json.dumps(1) == "seen 1"
    assert module.json.loads is json.loads
    assert sys.modules[__name__].json is json
    patches.stop()
    assert module.json is json


@pytest.mark.parametrize("name", ["method", "make", "still"])
def test_methods_of_every_kind_are_restored_to_the_identical_object(host, patched, name):
    cls = importlib.import_module(host).Thing
    raw = vars(cls)[name]
    patches = patched(Patch(f"{host}:Thing.{name}", "x", shout))
    assert vars(cls)[name] is not raw
    assert type(vars(cls)[name]) is type(raw)
    thing = cls()
    called = {"method": lambda: thing.method("m"), "make": cls.make, "still": lambda: cls.still("s")}[name]
    assert called() == {"method": "M", "make": "THING", "still": "S"}[name]
    patches.stop()
    assert vars(cls)[name] is raw


def test_an_inherited_method_is_undone_by_deleting_ours(host, patched):
    cls = importlib.import_module(host).Thing
    patches = patched(Patch(f"{host}:Thing.inherited", "x", shout))
    assert cls().inherited() == "BASE"
    assert cls.__mro__[1]().inherited() == "base"
    patches.stop()
    assert "inherited" not in vars(cls)
    assert cls().inherited() == "base"


def test_who_wrapped_on_top_keeps_his_wrapper_and_ours_goes_inert(host, patched):
    module = importlib.import_module(host)
    patches = patched(Patch(f"{host}:double", "x", plus_one))
    ours = module.double
    module.double = lambda x: ours(x) * 100
    assert module.double(1) == 300
    patches.stop()
    assert patches.rows[0].state == "inert"
    assert module.double(1) == 200


def test_two_rows_on_one_function_are_undone_last_first(host, patched):
    module = importlib.import_module(host)
    original = module.double
    patches = patched(Patch(f"{host}:double", "x", plus_one), Patch(f"{host}:double", "x", plus_one))
    assert module.double(1) == 4
    patches.stop()
    assert module.double is original


def test_a_missing_function_is_data_and_the_rest_is_applied(host, patched):
    patches = patched(Patch(f"{host}:gone", "x", plus_one), Patch(f"{host}:double", "x", plus_one))
    importlib.import_module(host)
    assert [row.state for row in patches.rows] == ["unrecognised", "applied"]


def test_what_this_version_need_not_have_is_absent_and_what_others_do_is_off(host, patched):
    def unneeded(original, switch):
        raise UnneededError("a plugin does this")

    def unfit(original, switch):
        raise AutoperfError("other code")

    patches = patched(
        Patch(f"{host}:gone", "x", plus_one, expected=False),
        Patch(f"{host}:double", "x", unfit, expected=False),
        Patch(f"{host}:double", "x", unfit),
        Patch(f"{host}:double", "x", unneeded),
    )
    importlib.import_module(host)
    assert [row.state for row in patches.rows] == ["absent", "absent", "unrecognised", "off"]
    assert patches.rows[3].reason == "a plugin does this"


def test_a_row_whose_state_is_known_is_never_applied_nor_waited_for(host, patched):
    patches = patched(Patch(f"{host}:double", "x", plus_one, state="off", reason="by option"))
    assert patches.settled
    assert importlib.import_module(host).double(3) == 6
    assert patches.rows[0].as_row()["state"] == "off"
    assert patches.rows[0].as_row()["reason"] == "by option"


def test_a_wrapper_that_recognises_nothing_any_more_counts_as_lost(host, patched):
    switches = []

    def build(original, switch):
        switches.append(switch)
        return lambda call, x: call(x)

    patches = patched(Patch(f"{host}:double", "x", build))
    importlib.import_module(host)
    assert patches.rows[0].as_row()["state"] == "applied"
    switches[0].stand_aside("other code below it")
    row = patches.rows[0].as_row()
    assert (row["state"], row["reason"]) == ("unrecognised", "other code below it")
    patches.stop()
    assert patches.rows[0].as_row()["state"] == "undone"


def test_a_wrapper_that_cannot_be_built_leaves_the_host_alone(host, patched, fail_open, capsys):
    def broken(original, switch):
        raise RuntimeError("cannot")

    patches = patched(Patch(f"{host}:double", "x", broken))
    assert importlib.import_module(host).double(2) == 4
    assert patches.rows[0].state == "failed"
    assert failures.of(f"{host}:double") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_another_signature_is_a_reason_not_a_failure(host, patched):
    def build(original, switch):
        expect_parameters(original, "self", "progress")

    patches = patched(Patch(f"{host}:double", "x", build))
    importlib.import_module(host)
    assert patches.rows[0].state == "unrecognised"
    assert "another signature" in patches.rows[0].reason


def test_expect_parameters_passes_what_collects_keywords():
    expect_parameters(lambda point, agent=None, **rest: None, "point", "agent")
    with pytest.raises(AutoperfError, match="another signature"):
        expect_parameters(lambda point, **rest: None, "point", "agent")


def test_the_loader_is_the_hosts_own_and_sources_are_found(host, patched):
    patched(Patch(f"{host}:Thing.method", "x", shout))
    module = importlib.import_module(host)
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert "exec_module" not in vars(module.__loader__)
    assert "class Thing" in inspect.getsource(module)


def test_a_wrapped_function_looks_like_the_original(host, patched):
    patched(Patch(f"{host}:double", "x", plus_one))
    module = importlib.import_module(host)
    assert module.double.__name__ == "double"
    assert module.double.__doc__ == "Twice."
    assert str(inspect.signature(module.double)) == "(x)"


def test_a_reloaded_module_is_patched_again(host, patched):
    patches = patched(Patch(f"{host}:double", "x", plus_one))
    module = importlib.import_module(host)
    importlib.reload(module)
    assert module.double(1) == 3
    patches.stop()
    assert module.double(1) == 2


def test_an_import_that_fails_fails_as_without_us(tmp_path, monkeypatch, patched):
    (tmp_path / "a_broken_host.py").write_text("import does_not_exist_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    patches = patched(Patch("a_broken_host:f", "x", plus_one))
    with pytest.raises(ModuleNotFoundError, match="does_not_exist_anywhere"):
        importlib.import_module("a_broken_host")
    assert patches.rows[0].state == "waiting"
    (tmp_path / "a_broken_host.py").write_text("def f(): return 1\n")
    importlib.invalidate_caches()
    linecache.checkcache()
    sys.modules.pop("a_broken_host", None)
    sys.path_importer_cache.clear()
    assert importlib.import_module("a_broken_host").f() == 2
    sys.modules.pop("a_broken_host", None)


def test_another_finder_still_gets_its_turn(host, patched):
    class Other:
        asked: list[str] = []

        def find_spec(self, name, path=None, target=None):
            self.asked.append(name)

    other = Other()
    sys.meta_path.insert(0, other)
    try:
        patched(Patch(f"{host}:double", "x", plus_one))
        assert importlib.import_module(host).double(1) == 3
        assert other.asked.count(host) == 1
    finally:
        sys.meta_path.remove(other)


def test_a_module_half_executed_is_left_until_it_is_whole(tmp_path, monkeypatch, patched):
    # The module starts us itself, from its own body: its function is defined only after that.
    source = """
    import sys
    start = sys.modules["starting_point"].start
    patches = start()
    def f():
        return 1
    """
    (tmp_path / "a_self_starter.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "starting_point", type(sys)("starting_point"))
    sys.modules["starting_point"].start = lambda: patched(Patch("a_self_starter:f", "x", plus_one))
    module = importlib.import_module("a_self_starter")
    assert module.patches.rows[0].state == "waiting"
    assert module.f() == 1
    sys.modules.pop("a_self_starter")
