"""Garbage collection waits while the host imports, and comes back as it was."""

from __future__ import annotations

import gc
import sys
import types

import pytest

from autoperf.agentzero import startup
from autoperf.agentzero.probe import Probe
from autoperf.collection import LIMIT_S, STILL, THRESHOLD, HeldCollection
from autoperf.patching import Patch, PatchSet


@pytest.fixture(autouse=True)
def collector():
    before, enabled = gc.get_threshold(), gc.isenabled()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)
    (gc.enable if enabled else gc.disable)()


@pytest.fixture
def held(clock):
    held = HeldCollection(clock)
    held.hold()
    return held


def test_nothing_is_collected_meanwhile_and_garbage_goes_afterwards(held):
    collections = sum(row["collections"] for row in gc.get_stats())
    for _ in range(10_000):
        cycle: list[object] = []
        cycle.append(cycle)
    assert sum(row["collections"] for row in gc.get_stats()) == collections
    collected = sum(row["collected"] for row in gc.get_stats())
    held.finish()
    assert gc.get_threshold() == (700, 10, 10)
    assert sum(row["collections"] for row in gc.get_stats()) == collections + 1
    assert sum(row["collected"] for row in gc.get_stats()) >= collected + 10_000
    held.finish()
    assert sum(row["collections"] for row in gc.get_stats()) == collections + 1


@pytest.mark.parametrize("meanwhile", [gc.disable, lambda: gc.set_threshold(0, 5, 5)])
def test_where_the_host_wants_no_collection_there_is_none(held, meanwhile):
    meanwhile()
    collections = sum(row["collections"] for row in gc.get_stats())
    held.finish()
    assert sum(row["collections"] for row in gc.get_stats()) == collections


def test_a_child_made_by_fork_does_not_touch_what_it_shares_with_its_parent():
    probe = Probe(None)
    list(startup.rows({}, probe))
    collections = sum(row["collections"] for row in gc.get_stats())
    for work in probe.after_fork:
        work()
    assert sum(row["collections"] for row in gc.get_stats()) == collections


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
