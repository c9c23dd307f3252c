"""Garbage collection waits while the host imports, and comes back as it was."""

from __future__ import annotations

import gc
import sys
import types

import pytest

from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.startup import collector as startup
from autoperf.instrumentation.agentzero.startup.collector import (
    LIMIT_S,
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


@pytest.fixture
def held(clock):
    held = HeldCollection(clock)
    held.hold()
    return held


def collections():
    return sum(row["collections"] for row in gc.get_stats())


def garbage(count):
    """``count`` cycles that nobody holds."""
    for _ in range(count):
        cycle: list[object] = []
        cycle.append(cycle)


def test_nothing_is_collected_meanwhile_and_everything_is_in_the_oldest_generation_afterwards(held):
    before = collections()
    garbage(10_000)
    assert collections() == before
    held.finish()
    assert gc.get_threshold() == (700, 10, 10)
    assert collections() == before
    assert gc.get_freeze_count() == 0
    assert len(gc.get_objects(2)) > 10_000
    assert gc.collect(1) < 10_000
    assert gc.collect() >= 10_000
    before = collections()
    garbage(10_000)
    assert collections() > before + 1  # what is new is seen as ever


def test_what_the_host_has_frozen_stays_so(held):
    gc.freeze()
    frozen = gc.get_freeze_count()
    held.finish()
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() >= frozen * 0.9


def test_what_python_itself_has_frozen_does_not_count(held, monkeypatch):
    """3.12 begins with some hundred objects."""
    gc.collect()
    made = [[number] for number in range(10_000)]
    count = gc.get_freeze_count
    monkeypatch.setattr(gc, "get_freeze_count", lambda: count() + 375)
    held.finish()
    oldest = set(map(id, gc.get_objects(2)))
    assert all(id(one) in oldest for one in made)


@pytest.mark.parametrize("meanwhile", [gc.disable, lambda: gc.set_threshold(0, 5, 5)])
def test_where_the_host_wants_no_collection_there_is_none(held, meanwhile):
    meanwhile()
    before = collections()
    held.finish()
    assert collections() == before
    assert gc.get_freeze_count() == 0


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


@pytest.mark.parametrize("target", startup.SERVERS)
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
    patches = PatchSet([Patch(t, "startup", build, foreign=True) for t, build in startup.rows({}, probe)])
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
    list(startup.rows({}, probe))
    assert gc.get_threshold() == (THRESHOLD, 10, 10)
    for work in getattr(probe, when):
        work()
    assert gc.get_threshold() == (700, 10, 10)
