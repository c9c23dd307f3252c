"""Class loading in front of small loaders of the two shapes the host has had."""

from __future__ import annotations

import os
import signal
import sys
import threading
import types

import pytest

from autoperf.errors import failures
from autoperf.errors.switch import DISABLE_AFTER_FAILURES
from autoperf.instrumentation.agentzero.loading.classes import ClassLoading, Loaded
from autoperf.instrumentation.agentzero.loading.code import CodeCache
from autoperf.memo.cache import Cache
from autoperf.patching.patch import Switch, replacement
from autoperf.patching.tracebacks import without_our_frames
from tests.loaders import BY_PATH, PURE, STATEFUL, Host


@pytest.fixture
def base(monkeypatch):
    """The module with the base class, as the host's helpers would be."""
    module = types.ModuleType("the_base")
    exec("RUNS = []\nclass Tool:\n    pass\nclass Other:\n    pass\n", vars(module))
    monkeypatch.setitem(sys.modules, "the_base", module)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return module


@pytest.fixture
def host(tmp_path, base) -> Host:
    return Host(tmp_path, BY_PATH, shared=False)


def test_a_pure_module_is_reused_from_the_third_call(host, base):
    path = host.write("t.py", PURE.format("one"))
    first, second, third, fourth = (host.file(path, base.Tool)[0] for _ in range(4))
    assert first is not second
    assert second is third is fourth
    info = host.cache.info()
    assert (info.hits, info.misses, info.reexecutions) == (3, 1, 1)
    assert host.code.reads() == 1


def test_a_module_out_of_its_bytecode_file_is_reused_too(host, base):
    path = host.write("t.py", PURE.format("one"))
    host.bare["load_classes_from_file"](path, base.Tool)
    later = Host(host.root, BY_PATH, shared=False)
    assert len({later.file(path, base.Tool)[0] for _ in range(4)}) == 2


def test_saved_seconds_are_warm_loads_only(host, base):
    path = host.write("t.py", PURE.format("one"))
    for _ in range(2):
        host.file(path, base.Tool)
    assert host.cache.info().seconds_saved == 0, "nothing was spared yet"
    host.file(path, base.Tool)
    once = host.cache.info().seconds_saved
    host.file(path, base.Tool)
    assert host.cache.info().seconds_saved == pytest.approx(2 * once)
    assert 0 < once < host.cache.info().seconds_loading + 1


def test_the_returned_list_is_the_callers_own(host, base):
    path = host.write("t.py", PURE.format("one"))
    for _ in range(4):
        found = host.file(path, base.Tool)
        assert len(found) == 1
        found.clear()


def test_a_stateful_module_is_executed_for_every_call_but_read_once(host, base):
    path = host.write("t.py", STATEFUL.format("one"))
    found = [host.file(path, base.Tool)[0] for _ in range(5)]
    assert len(base.RUNS) == 5
    assert len({id(cls.seen) for cls in found}) == 5
    assert host.code.reads() == 1
    assert host.cache.info().reexecutions == 4
    assert host.cache.info().seconds_saved == 0


def test_a_class_that_was_changed_is_not_handed_out_again(host, base):
    path = host.write("t.py", PURE.format("one"))
    for _ in range(3):
        kept = host.file(path, base.Tool)[0]
    kept.said = "changed"
    assert host.file(path, base.Tool)[0].said == "one"


def test_edits_deletions_and_returns_are_seen_at_the_next_call(host, base):
    path = host.write("t.py", PURE.format("one"))
    said = [host.file(path, base.Tool)[0].said for _ in range(4)]
    host.write("t.py", PURE.format("another"))
    said.append(host.file(path, base.Tool)[0].said)
    assert said == ["one"] * 4 + ["another"]
    (host.root / "t.py").unlink()
    for load in (host.file, host.bare["load_classes_from_file"]):
        with pytest.raises(FileNotFoundError):
            load(path, base.Tool)
    host.write("t.py", PURE.format("back"))
    assert host.file(path, base.Tool)[0].said == "back"


def test_an_edit_that_bytecode_hides_from_the_bare_host_is_hidden_here_too(host, base):
    # A .pyc is compared by whole seconds and size: the same size within the same second goes unseen.
    path = host.write("t.py", PURE.format("old"))
    for _ in range(4):
        host.file(path, base.Tool)
    host.write("t.py", PURE.format("new"), age=0.25)
    bare = host.bare["load_classes_from_file"](path, base.Tool)[0].said
    assert host.file(path, base.Tool)[0].said == bare == "old"


def test_without_bytecode_every_edit_is_seen(host, base, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = host.write("t.py", PURE.format("old"))
    for _ in range(4):
        host.file(path, base.Tool)
    host.write("t.py", PURE.format("new"), age=0.25)
    assert host.file(path, base.Tool)[0].said == "new"
    assert not (host.root / "__pycache__").exists()


@pytest.mark.parametrize("how", ["file", "folder"])
@pytest.mark.parametrize("bytecode", [True, False])
def test_an_equally_long_edit_with_its_time_put_back_is_seen_as_by_the_bare_host(
    host, base, monkeypatch, bytecode, how
):
    monkeypatch.setattr(sys, "dont_write_bytecode", not bytecode)
    path = host.write("tools/t.py", PURE.format("old"))
    asked = (path, base.Tool) if how == "file" else ("tools", "*.py", base.Tool)
    load, bare = getattr(host, how), host.bare[f"load_classes_from_{how}"]
    for _ in range(4):
        load(*asked)
    before = os.stat(host.root / path)
    (host.root / path).write_text(PURE.format("new"))
    os.utime(host.root / path, ns=(before.st_atime_ns, before.st_mtime_ns))
    expected = bare(*asked)[0].said
    assert expected == ("old" if bytecode else "new")
    assert [load(*asked)[0].said for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize(
    "text", ["class (:\n", "raise KeyError('no')\n", "import no_such_module_here\n", "1 / 0\n"]
)
def test_what_the_host_raises_is_the_same_and_never_kept(host, base, text):
    path = host.write("t.py", text)
    told = []
    for load in (host.bare["load_classes_from_file"], host.file, host.file):
        try:
            load(path, base.Tool)
        except Exception as error:
            without_our_frames(error)
            told.append((type(error), str(error), frames(error)))
    assert len(told) == 3
    assert told[0] == told[1] == told[2]
    host.write("t.py", PURE.format("repaired"))
    assert host.file(path, base.Tool)[0].said == "repaired"
    assert not failures.of("the_loader:file")


def frames(error: BaseException) -> list[tuple[str, str]]:
    """Where the traceback leads through, below this file."""
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__:
            found.append((code.co_filename, code.co_name))
        trace = trace.tb_next
    return found


def test_absent_and_impossible_files_go_to_the_host(host, base):
    for path in ("missing.py", "no/such/folder/t.py", "x" * 300 + ".py", "null\0.py"):
        errors = []
        for load in (host.bare["load_classes_from_file"], host.file):
            with pytest.raises((OSError, ValueError)) as caught:
                load(path, base.Tool)
            errors.append((caught.type, str(caught.value)))
        assert errors[0] == errors[1]
    assert host.cache.info().currsize == 0


def test_another_base_class_is_another_entry_or_none_at_all(host, base):
    path = host.write("t.py", PURE.format("one") + "class O(the_base.Other):\n    pass\n")
    assert [c.__name__ for c in host.file(path, base.Tool)] == ["T"]
    assert [c.__name__ for c in host.file(path, base.Other)] == ["O"]
    assert host.cache.info().currsize == 1, "no kind of class that is kept"


def test_a_file_without_a_tool_is_kept_as_such(host, base):
    path = host.write("t.py", "X = 1\n")
    assert [host.file(path, base.Tool) for _ in range(4)] == [[]] * 4
    assert host.code.reads() == 1


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("t.py",), {"base_class": "Tool"}),
        ((), {"file": "t.py", "base_class": "Tool", "one_per_file": False}),
        (("t.py", "Tool", True, "more"), {}),
        (("t.py", "Tool"), {"reload": True}),
        (("Tool", "t.py"), {}),
    ],
)
def test_a_forks_loader_gets_exactly_what_it_was_given(tmp_path, base, args, kwargs):
    seen, tool = [], base.Tool

    def load_classes_from_file(*args, **kwargs):
        seen.append((args, kwargs))
        return [tool]

    def real(value):
        return base.Tool if value == "Tool" else value

    loading = ClassLoading({"tools": Cache(10, 300.0)}, CodeCache(300.0))
    (tmp_path / "t.py").write_text("")
    load = replacement(load_classes_from_file, loading.from_file, Switch())
    args, kwargs = tuple(map(real, args)), {key: real(value) for key, value in kwargs.items()}
    assert load(*args, **kwargs) == [base.Tool]
    assert seen == [(args, kwargs)]


def test_a_call_that_fits_no_signature_raises_what_the_host_raises(host, base):
    path = host.write("t.py", PURE.format("one"))
    for arguments in ((), (path,), (path, base.Tool, True, 1)):
        told = []
        for load in (host.bare["load_classes_from_file"], host.file):
            with pytest.raises(TypeError) as caught:
                load(*arguments)
            told.append(str(caught.value))
        assert told[0] == told[1]


def test_keywords_and_positions_share_an_entry(host, base):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    host.file(base_class=base.Tool, file=path, one_per_file=True)
    assert host.cache.info().currsize == 1


def test_threads_run_a_stateful_module_once_per_caller(host, base):
    path = host.write("t.py", STATEFUL.format("one"))
    found, start = [], threading.Barrier(6)

    def load() -> None:
        start.wait(10)
        found.extend(host.file(path, base.Tool))

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(base.RUNS) == 6
    assert len({id(cls.seen) for cls in found}) == 6
    info = host.cache.info()
    assert (info.hits + info.misses, info.loads) == (6, 1)


def test_a_failure_of_ours_falls_back_without_a_second_execution(host, base, monkeypatch, fail_open):
    path = host.write("t.py", STATEFUL.format("one"))
    host.file(path, base.Tool)
    monkeypatch.setattr(host.loading, "guards", lambda *_: 1 / 0)
    assert host.file(path, base.Tool)[0].said == "one"
    assert len(base.RUNS) == 2
    assert failures.of("the_loader:file") == 1


def test_a_seam_that_keeps_failing_switches_itself_off(host, base, monkeypatch, fail_open):
    path = host.write("t.py", PURE.format("one"))
    monkeypatch.setattr(host.loading, "_file", lambda *_: 1 / 0)
    for _ in range(DISABLE_AFTER_FAILURES):
        assert host.switch.on
        assert host.file(path, base.Tool)[0].said == "one"
    assert not host.switch.on
    assert host.file(path, base.Tool)[0].said == "one"
    assert failures.of("the_loader:file") == DISABLE_AFTER_FAILURES


def test_switched_off_nothing_is_kept(host, base):
    path = host.write("t.py", STATEFUL.format("one"))
    host.switch.on = False
    host.file(path, base.Tool)
    host.file(path, base.Tool)
    assert host.cache.info().misses == host.code.reads() == 0
    assert len(base.RUNS) == 2


def test_a_folder_is_seen_to_change_in_names_and_contents(host, base):
    host.write("f/a.py", PURE.format("a"))
    host.write("f/b.py", PURE.format("b"))

    def said() -> list[str]:
        return [cls.said for cls in host.folder("f", "*", base.Tool)]

    assert [said() for _ in range(4)] == [["a", "b"]] * 4
    host.write("f/b.py", PURE.format("longer"))
    assert said() == ["a", "longer"]
    host.write("f/c.py", PURE.format("c"))
    assert said() == ["a", "longer", "c"]
    (host.root / "f/a.py").unlink()
    assert said() == ["longer", "c"]


def test_one_stateful_module_makes_a_whole_folder_new(host, base):
    host.write("f/a.py", PURE.format("a"))
    host.write("f/b.py", STATEFUL.format("b"))
    loads = [host.folder("f", "*", base.Tool) for _ in range(4)]
    assert len({id(load[0]) for load in loads}) == 4
    assert len(base.RUNS) == 4


def test_a_base_that_begins_to_act_on_its_classes_sees_every_one(host, base):
    path = host.write("t.py", PURE.format("one"))
    for _ in range(3):
        host.file(path, base.Tool)
    made: list[type] = []
    base.Tool.__init_subclass__ = classmethod(lambda cls: made.append(cls))
    assert [host.file(path, base.Tool)[0] for _ in range(3)] == made
    assert len({*made}) == 3


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_plugin_executes_files_with_is_asked_every_time(host, base, kind):
    path = host.write("tools/t.py", PURE.format("one"))

    def load():
        return host.file(path, base.Tool) if kind == "file" else host.folder("tools", "*", base.Tool)

    for _ in range(3):
        load()
    execute, asked = host.module.import_module, []
    host.module.import_module = lambda path: (asked.append(path), execute(path))[1]
    assert len({load()[0] for _ in range(3)}) == len(asked) == 3


class _Slow(Loaded):
    """Decided by a thread that is in the middle of it when the process forks."""

    inside, go_on = threading.Event(), threading.Event()

    def __setattr__(self, name: str, value: object) -> None:
        if name == "warm_seconds" and value:
            self.inside.set()
            self.go_on.wait(10)
        super().__setattr__(name, value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_waits_for_no_thread_that_stayed_behind():
    thread = threading.Thread(target=_Slow([]).decide, args=([], None, 1.0))
    thread.start()
    assert _Slow.inside.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        os._exit(0 if Loaded([]).decide([], None, 1.0) else 1)
    ended = os.waitpid(child, 0)[1]
    _Slow.go_on.set()
    thread.join()
    assert ended == 0
