"""Garbage collection waits while the host imports, and comes back as it was."""

from __future__ import annotations

import gc
import sys
import threading
import types
import typing
import weakref

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.startup import port
from autoperf.instrumentation.agentzero.startup.collector import (
    LIMIT_S,
    PYTHONS_OWN,
    QUIET,
    STILL,
    THRESHOLD,
    HeldCollection,
)
from autoperf.patching.patch import Patch, PatchSet


@pytest.fixture(autouse=True)
def collector():
    before, enabled = gc.get_threshold(), gc.isenabled()
    gc.set_threshold(700, 10, 10)
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    (gc.enable if enabled else gc.disable)()


class Worker:
    """CPU seconds of a process that takes ``share`` of a core, and whether somebody waits for it."""

    def __init__(self, clock):
        self.clock, self.share, self.waited_for = clock, 0.0, False

    def worked(self):
        return self.clock.now * self.share


@pytest.fixture
def worker(clock):
    return Worker(clock)


@pytest.fixture
def held(clock, worker):
    held = HeldCollection(clock, worker.worked, lambda: worker.waited_for)
    held.hold()
    return held


def collections():
    return sum(row["collections"] for row in gc.get_stats())


def garbage(count):
    """``count`` cycles that nobody holds."""
    for _ in range(count):
        cycle: list[object] = []
        cycle.append(cycle)


def looks(held, clock, count):
    for _ in range(count):
        clock.now += 1.0
        held.look()


def test_nothing_is_collected_meanwhile_and_what_was_made_is_left_out_afterwards(held):
    before = collections()
    garbage(10_000)
    assert collections() == before
    held.finish()
    assert gc.get_threshold() == (700, 10, 10)
    assert collections() == before
    assert gc.get_freeze_count() > 10_000
    assert gc.collect() < 10_000  # none of the frozen
    garbage(10_000)
    assert collections() > before + 1  # what is new is seen as ever


def test_garbage_of_the_start_goes_when_the_process_does_nothing(held, clock):
    garbage(10_000)
    held.finish()
    collected = sum(row["collected"] for row in gc.get_stats())
    looks(held, clock, QUIET - 1)
    assert sum(row["collected"] for row in gc.get_stats()) == collected
    looks(held, clock, 1)
    assert sum(row["collected"] for row in gc.get_stats()) >= collected + 10_000
    assert gc.get_freeze_count() > 0
    before = collections()
    looks(held, clock, 3 * QUIET)
    assert collections() == before  # it was owed once


class Chat:
    """In a cycle, as the host's chats are."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def chats():
    return [Chat(), Chat()]


@pytest.fixture
def held_with(clock, worker, chats):
    held = HeldCollection(clock, worker.worked, listed=lambda: frozenset(map(id, chats)))
    held.hold()
    held.finish()
    return held


def test_a_chat_of_the_start_that_is_deleted_goes_in_the_next_quiet_moment(held_with, clock, chats):
    looks(held_with, clock, QUIET)
    before = collections()
    looks(held_with, clock, QUIET)
    assert collections() == before  # all of them are listed
    gone = weakref.ref(chats.pop())
    gc.collect()
    assert gone() is not None  # left out, as all that was frozen
    looks(held_with, clock, 1)
    assert gone() is None
    assert gc.get_freeze_count() <= PYTHONS_OWN
    before = collections()
    looks(held_with, clock, 3 * QUIET)
    assert collections() == before


def test_what_work_leaves_behind_is_not_frozen(held_with, clock, chats):
    looks(held_with, clock, QUIET)
    chats.append(Chat())
    gone = weakref.ref(chats.pop())
    looks(held_with, clock, 3 * QUIET)
    gc.collect()
    assert gone() is None


def test_a_chat_opened_before_the_first_quiet_moment_goes_when_it_is_deleted(held_with, clock, chats):
    chats.append(Chat())
    looks(held_with, clock, QUIET)
    assert gc.get_freeze_count() > 0
    gone = weakref.ref(chats.pop())
    looks(held_with, clock, QUIET)
    assert gone() is None


def test_a_failure_of_ours_leaves_the_collector_as_it_was(clock, worker):
    def fails():
        raise ValueError("no list")

    held = HeldCollection(clock, worker.worked, listed=fails)
    held.hold()
    with pytest.raises(ValueError, match="no list"):
        held.finish()
    assert (gc.get_threshold(), gc.get_freeze_count() <= PYTHONS_OWN) == ((700, 10, 10), True)


def test_a_chat_is_listed_with_its_agent(monkeypatch):
    class AgentContext:
        _contexts: typing.ClassVar[dict[str, object]] = {}

    assert port._chats() == frozenset()
    monkeypatch.setitem(sys.modules, "agent", types.SimpleNamespace(AgentContext=AgentContext))
    chat = types.SimpleNamespace(agent0=Chat())
    AgentContext._contexts["1"] = chat
    assert port._chats() == {id(chat), id(chat.agent0)}
    reset = chat.agent0
    chat.agent0 = Chat()
    assert id(reset) not in port._chats()


@pytest.mark.parametrize("theirs", ["more", "none"])
def test_what_somebody_else_freezes_later_stays_so(held, clock, theirs):
    held.finish()
    if theirs == "more":
        kept = [[number] for number in range(10_000)]
        gc.freeze()
        assert kept
    else:
        gc.unfreeze()
    frozen, before = gc.get_freeze_count(), collections()
    looks(held, clock, 3 * QUIET)
    held.undo()
    assert gc.get_freeze_count() >= frozen * 0.9
    assert collections() == before


def test_taken_back_in_the_middle_of_that_collection_nothing_stays_frozen(held, clock):
    held.finish()
    threads = []

    def undo(phase, _info):
        if phase == "start" and not threads:
            threads.append(threading.Thread(target=held.undo))
            threads[0].start()
            threads[0].join(0.05)

    gc.callbacks.append(undo)
    try:
        looks(held, clock, QUIET + 1)
    finally:
        gc.callbacks.remove(undo)
    threads[0].join()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("change", [{"share": 0.2}, {"waited_for": True}])
def test_it_is_put_off_while_the_process_works_or_is_waited_for(held, clock, worker, change):
    held.finish()
    looks(held, clock, QUIET - 1)
    for name, value in change.items():
        setattr(worker, name, value)
    held.look()
    before = collections()
    looks(held, clock, 3 * QUIET)
    assert collections() == before
    worker.share, worker.waited_for = 0.0, False
    looks(held, clock, QUIET + 1)
    assert collections() == before + 1


def test_taken_back_the_collector_sees_everything(held, clock):
    held.finish()
    held.undo()
    assert gc.get_freeze_count() == 0
    before = collections()
    looks(held, clock, 3 * QUIET)
    assert collections() == before


def test_where_the_host_has_frozen_something_itself_nothing_more_is(held, clock):
    gc.freeze()
    frozen = gc.get_freeze_count()
    held.finish()
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() <= frozen
    held.undo()
    assert gc.get_freeze_count() > 0
    before = collections()
    looks(held, clock, 3 * QUIET)
    assert collections() == before


def test_what_python_itself_has_frozen_does_not_count(held, clock, monkeypatch):
    """3.12 begins with some hundred objects."""
    count = gc.get_freeze_count
    monkeypatch.setattr(gc, "get_freeze_count", lambda: count() + 375)
    held.finish()
    assert count() > 10_000
    before = collections()
    looks(held, clock, QUIET)
    assert collections() == before + 1
    held.undo()
    assert count() == 0


def test_a_collector_switched_off_later_does_not_collect_what_was_owed(held, clock):
    held.finish()
    gc.disable()
    before = collections()
    looks(held, clock, 3 * QUIET)
    assert collections() == before


@pytest.mark.parametrize("meanwhile", [gc.disable, lambda: gc.set_threshold(0, 5, 5)])
def test_where_the_host_wants_no_collection_there_is_none(held, meanwhile):
    meanwhile()
    before = collections()
    held.finish()
    assert collections() == before
    assert gc.get_freeze_count() == 0


def test_a_child_made_by_fork_does_not_touch_what_it_shares_with_its_parent():
    probe = Probe(None)
    list(port.rows({}, probe))
    gc.freeze()
    before, frozen = collections(), gc.get_freeze_count()
    for work in probe.after_fork:
        work()
    assert collections() == before
    assert gc.get_freeze_count() >= frozen * 0.9


def test_what_somebody_else_has_set_stands(held):
    gc.set_threshold(1234, 5, 6)
    held.give_back()
    assert gc.get_threshold() == (1234, 5, 6)


def test_a_collector_that_the_host_switches_off_meanwhile_stays_off(held):
    gc.disable()
    held.give_back()
    assert not gc.isenabled()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("threshold", [(0, 10, 10), (THRESHOLD, 10, 10), (THRESHOLD * 2, 10, 10)])
def test_a_collector_that_is_rarer_already_is_left_alone(threshold, clock):
    gc.set_threshold(*threshold)
    held = HeldCollection(clock)
    held.hold()
    assert not held.held
    assert gc.get_threshold() == threshold


def test_a_collector_that_is_off_is_left_alone(clock):
    gc.disable()
    held = HeldCollection(clock)
    held.hold()
    assert gc.get_threshold() == (700, 10, 10)
    held.give_back()
    assert not gc.isenabled()


def test_holding_twice_forgets_nothing(held):
    held.hold()
    held.give_back()
    held.give_back()
    assert gc.get_threshold() == (700, 10, 10)


def test_it_ends_when_nothing_is_imported_any_more(held, monkeypatch):
    for number in range(10):
        monkeypatch.setitem(sys.modules, f"autoperf_test_{number}", types.ModuleType("x"))
        held.look()
        assert held.held
    for _ in range(STILL):
        assert held.held
        held.look()
    assert gc.get_threshold() == (700, 10, 10)


def test_it_ends_after_a_while_whatever_is_imported(held, clock, monkeypatch):
    held.look()
    clock.now += LIMIT_S
    monkeypatch.setitem(sys.modules, "autoperf_test_more", types.ModuleType("x"))
    held.look()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("target", port.SERVERS)
def test_it_ends_when_a_server_is_open(target, monkeypatch):
    module_name, _, path = target.partition(":")
    owner, name = path.split(".")
    module = types.ModuleType(module_name)
    called = []

    def serve(self, *args, **kwargs):
        called.append((gc.get_threshold()[0], args, kwargs))
        return "served"

    cls = type(owner, (), {name: serve})
    setattr(module, owner, cls)
    monkeypatch.setitem(sys.modules, module_name, module)
    probe = Probe(None)
    patches = PatchSet([Patch(t, "startup", build, foreign=True) for t, build in port.rows({}, probe)])
    patches.start()
    assert gc.get_threshold() == (THRESHOLD, 10, 10)
    server = cls()
    assert getattr(server, name)([1], a=2) == "served"
    assert getattr(server, name)() == "served"
    assert called == [(700, ([1],), {"a": 2}), (700, (), {})]
    patches.stop()
    assert vars(cls)[name] is serve


@pytest.mark.parametrize("when", ["after_fork", "at_stop"])
def test_it_ends_with_everything_else_of_ours(when):
    probe = Probe(None)
    list(port.rows({}, probe))
    assert gc.get_threshold() == (THRESHOLD, 10, 10)
    for work in getattr(probe, when):
        work()
    assert gc.get_threshold() == (700, 10, 10)
