"""Tools executed ahead: only what nobody can tell, once, and never in the place of what changed meanwhile."""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable

import pytest

from autoperf.errors import failures, frames
from autoperf.instrumentation.agentzero.loading import ahead as aheadloading
from autoperf.instrumentation.agentzero.loading import judgements
from autoperf.instrumentation.agentzero.loading.ahead import AheadLoading
from tests.loaders import BY_PATH, PURE, STATEFUL, Host

FROM = "from the_base import Tool\nclass T(Tool):\n    said = {!r}\n"
SHARED_LIST = "import the_base\nclass T(the_base.Tool):\n    seen = []\n"


@pytest.fixture(autouse=True)
def whichever_python(monkeypatch):
    monkeypatch.setattr(aheadloading, "PARSES_SAFELY", True)


@pytest.fixture
def base(monkeypatch):
    module = types.ModuleType("the_base")
    exec("RUNS = []\nclass Tool:\n    pass\nclass Other:\n    pass\n", vars(module))
    monkeypatch.setitem(sys.modules, "the_base", module)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return module


@pytest.fixture
def host(tmp_path, base) -> Host:
    return Host(tmp_path, BY_PATH, shared=False)


@pytest.fixture
def ahead(host) -> AheadLoading:
    return AheadLoading(host.loading)


@pytest.fixture
def judged(monkeypatch):
    """The threads that look into a source."""
    threads: list[str] = []
    judge = judgements.purity.judge

    def judging(*args):
        threads.append(threading.current_thread().name)
        return judge(*args)

    monkeypatch.setattr(judgements.purity, "judge", judging)
    return threads


def on_a_thread(work: Callable[[], bool]) -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(work()), name="ahead")
    thread.start()
    thread.join(10)
    return found[0]


def full(host: Host, path: str) -> str:
    return str(host.root / path)


def test_the_second_use_finds_it_ready(host, base, ahead, judged):
    path = host.write("t.py", PURE.format("one"))
    first = host.file(path, base.Tool)[0]
    assert ahead.wanted(full(host, path))
    assert on_a_thread(lambda: ahead.load(full(host, path)))
    assert not ahead.wanted(full(host, path))
    second, third = (host.file(path, base.Tool)[0] for _ in range(2))
    assert second is third is not first
    assert second.said == "one"
    assert judged == ["ahead"]
    assert host.cache.info().reexecutions == 0


def test_where_parsing_disturbs_the_host_nothing_is_judged_beside_it(host, base, ahead, judged, monkeypatch):
    monkeypatch.setattr(aheadloading, "PARSES_SAFELY", False)
    path = host.write("tools/a.py", FROM.format("one"))
    host.file(path, base.Tool)
    assert not ahead.wanted(full(host, path))
    assert not on_a_thread(lambda: ahead.load(full(host, path)))
    assert judged == []


def test_a_judgement_that_another_thread_disturbed_is_made_again(host, base, ahead, monkeypatch):
    judge, disturbed = judgements.purity.judge, [True]

    def judging(*args):
        if disturbed:
            raise SystemError("AST constructor recursion depth mismatch (before=36, after=107)")
        return judge(*args)

    monkeypatch.setattr(judgements.purity, "judge", judging)
    path = host.write("tools/a.py", FROM.format("one"))
    host.file(path, base.Tool)
    assert not ahead.load(full(host, path))
    disturbed.clear()
    assert ahead.load(full(host, path))


def test_once_is_enough(host, base, ahead):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    assert ahead.load(full(host, path))
    ready = host.file(path, base.Tool)
    assert not ahead.load(full(host, path))
    assert host.file(path, base.Tool) == ready


def test_what_it_took_is_not_called_saved_at_its_first_use(host, base, ahead):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    ahead.load(full(host, path))
    assert host.cache.info().seconds_saved < 0
    host.file(path, base.Tool)
    assert host.cache.info().seconds_saved == 0
    host.file(path, base.Tool)
    assert host.cache.info().seconds_saved > 0


@pytest.mark.parametrize("text", [PURE, STATEFUL])
def test_what_was_never_executed_is_not(host, base, ahead, text):
    path = full(host, host.write("t.py", text.format("one")))
    assert not ahead.wanted(path)
    assert not ahead.load(path)
    assert base.RUNS == []


def test_side_effects_come_with_every_use_and_at_no_other_time(host, base, ahead, judged):
    path = host.write("t.py", STATEFUL.format("one"))
    for use in range(1, 5):
        cls = host.file(path, base.Tool)[0]
        assert len(base.RUNS) == use
        on_a_thread(lambda: ahead.load(full(host, path)))
        assert len(base.RUNS) == use
        cls.seen.append("used")
    assert judged == ["ahead"]  # not again by the loop that uses it
    assert host.file(path, base.Tool)[0].seen == []


def test_a_class_that_holds_a_list_is_made_at_every_use(host, base, ahead):
    path = host.write("t.py", SHARED_LIST)
    first = host.file(path, base.Tool)[0]
    assert not ahead.load(full(host, path))
    assert len({id(cls) for cls in (first, *(host.file(path, base.Tool)[0] for _ in range(3)))}) == 4


def test_a_base_class_that_acts_on_every_class_made_from_it(host, base, ahead):
    exec("class Hooked(Tool):\n    def __init_subclass__(cls):\n        RUNS.append(cls)\n", vars(base))
    path = host.write("t.py", "import the_base\nclass T(the_base.Hooked):\n    pass\n")
    host.file(path, base.Tool)
    assert not ahead.load(full(host, path))
    assert len(base.RUNS) == 1


def test_a_file_edited_since_is_not_executed(host, base, ahead):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    host.write("t.py", STATEFUL.format("two"))
    assert not ahead.wanted(full(host, path))
    assert not ahead.load(full(host, path))
    assert base.RUNS == []
    assert host.file(path, base.Tool)[0].said == "two"
    assert len(base.RUNS) == 1


def test_a_file_edited_after_it_was_executed_ahead_is_loaded_again(host, base, ahead):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    assert ahead.load(full(host, path))
    host.write("t.py", PURE.format("two"))
    assert host.file(path, base.Tool)[0].said == "two"


def test_a_file_that_is_gone(host, base, ahead):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    (host.root / "t.py").unlink()
    assert not ahead.wanted(full(host, path))
    assert not ahead.load(full(host, path))
    with pytest.raises(FileNotFoundError):
        host.file(path, base.Tool)


def test_an_import_that_would_give_something_else(host, base, ahead):
    path = host.write("t.py", FROM.format("one"))
    host.file(path, base.Tool)
    base.Tool = type("Tool", (base.Tool,), {})
    assert not ahead.load(full(host, path))


def test_an_import_rebound_after_it_was_executed_ahead(host, base, ahead):
    path = host.write("t.py", FROM.format("one"))
    tool = base.Tool
    host.file(path, tool)
    assert ahead.load(full(host, path))
    base.Tool = type("Tool", (tool,), {})
    assert host.file(path, tool)[0].__mro__[1] is base.Tool


def test_a_use_while_it_is_being_made_ready_waits_for_nobody(host, base, ahead, judged, monkeypatch):
    path = host.write("t.py", PURE.format("one"))
    first = host.file(path, base.Tool)[0]
    begun, go = threading.Event(), threading.Event()
    find = host.module.get_abs_path

    def get_abs_path(path):
        if threading.current_thread().name == "ahead":
            begun.set()
            assert go.wait(10)
        return find(path)

    monkeypatch.setattr(host.module, "get_abs_path", get_abs_path)
    thread = threading.Thread(target=ahead.load, args=(full(host, path),), name="ahead")
    thread.start()
    assert begun.wait(10)
    assert not ahead.wanted(full(host, path))
    assert not ahead.load(full(host, path))
    second = host.file(path, base.Tool)[0]
    go.set()
    thread.join(10)
    third, fourth = (host.file(path, base.Tool)[0] for _ in range(2))
    assert len({first, second, third}) == 3
    assert third is fourth
    assert judged == ["ahead"]


def test_what_is_decided_first_stands(host, base, ahead, monkeypatch):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    cache, key, call = host.loading.files[full(host, path)]
    loaded = cache.peek(key)
    kept: list[type] = [type("Kept", (), {})]

    def anew():
        assert loaded.decide(kept, [lambda: True], 1.0)
        return type(call)(call.original, call.original, (path, base.Tool), {})

    monkeypatch.setattr(type(call), "anew", lambda _self: anew())
    assert not ahead.load(full(host, path))
    assert loaded.classes is kept


def test_what_has_aged_is_ready_again(host, base, ahead, judged):
    now = [0.0]
    host.cache._clock = host.code.cache._clock = lambda: now[0]
    path = host.write("t.py", PURE.format("one"))
    before = [host.file(path, base.Tool)[0] for _ in range(3)][-1]
    now[0] = 400.0
    assert ahead.wanted(full(host, path))
    assert on_a_thread(lambda: ahead.load(full(host, path)))
    misses = host.cache.info().misses
    after = host.file(path, base.Tool)[0]
    assert after is not before
    assert host.file(path, base.Tool)[0] is after
    assert host.cache.info().misses == misses
    assert len(judged) == 1


def test_a_source_is_judged_again_when_its_imports_give_something_else(host, base, judged):
    now = [0.0]
    host.cache._clock = host.code.cache._clock = lambda: now[0]
    path, tool = host.write("t.py", FROM.format("one")), base.Tool
    for age in (0.0, 400.0):
        now[0] = age
        for _ in range(2):
            host.file(path, tool)
    assert len(judged) == 1
    base.Tool = type("Tool", (tool,), {})
    now[0] = 800.0
    for _ in range(2):
        host.file(path, tool)
    assert len(judged) == 2


def test_what_has_aged_and_was_edited_is_for_its_use(host, base, ahead):
    now = [0.0]
    host.cache._clock = host.code.cache._clock = lambda: now[0]
    path = host.write("t.py", PURE.format("one"))
    for _ in range(2):
        host.file(path, base.Tool)
    now[0] = 400.0
    host.write("t.py", STATEFUL.format("two"))
    assert not ahead.load(full(host, path))
    assert base.RUNS == []


def test_an_edit_at_the_very_last_moment_is_not_executed(host, base):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    code = host.code.cache.peek(full(host, path))
    host.write("t.py", STATEFUL.format("two"))
    with host.code.only(code), pytest.raises(ImportError, match="another source"):
        host.module.import_module(path)
    assert base.RUNS == []
    host.module.import_module(path)
    assert len(base.RUNS) == 1


def test_a_file_removed_while_it_is_executed_ahead_is_no_failure_of_ours(host, base, ahead, monkeypatch):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    find = host.module.get_abs_path

    def get_abs_path(path):
        (host.root / "t.py").unlink()
        return find(path)

    monkeypatch.setattr(host.module, "get_abs_path", get_abs_path)
    assert not ahead.load(full(host, path))
    assert not failures.as_rows()


def test_what_fails_ahead_is_the_hosts_to_find(host, base, ahead, monkeypatch):
    monkeypatch.setattr(frames.host, "root", os.path.dirname(__file__))
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    with monkeypatch.context() as patched:
        patched.setattr(host.module, "pick", lambda *_: 1 / 0)
        assert not ahead.load(full(host, path))
    assert not failures.as_rows()
    second, third = (host.file(path, base.Tool)[0] for _ in range(2))
    assert second is third  # and its use decides as ever


def test_what_a_plugin_executes_files_with_runs_at_their_use_only(host, base, ahead):
    path = host.write("t.py", PURE.format("one"))
    host.file(path, base.Tool)
    execute, asked = host.module.import_module, []
    host.module.import_module = lambda path: (asked.append(path), execute(path))[1]
    assert not ahead.wanted(full(host, path))
    assert not ahead.load(full(host, path))
    assert asked == []
