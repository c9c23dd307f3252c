"""Watchers: the same folders are watched, none is walked twice, and nobody waits for the registry's lock."""

from __future__ import annotations

import threading

import pytest

from autoperf.errors import AutoperfError
from autoperf.instrumentation.agentzero.context import Probe
from autoperf.instrumentation.agentzero.startup import watchdog
from autoperf.patching.patch import Patch, PatchSet
from autoperf.patching.sources import digest
from tests.watchers import NAME, Handler, module


@pytest.fixture
def host(monkeypatch):
    found = module()
    monkeypatch.setitem(__import__("sys").modules, NAME, found)
    monkeypatch.setattr(watchdog, "KNOWN", {digest(found._WatchRegistry._refresh_observer)})
    return found


TARGETS = {"refresh": "_refresh_observer", "add": "add", "remove": "remove", "clear": "clear"}


@pytest.fixture
def patched(host):
    targets = {name: f"{NAME}:_WatchRegistry.{path}" for name, path in TARGETS.items()}
    patches = PatchSet([Patch(t, "startup", build) for t, build in watchdog.rows(targets, Probe(None))])
    patches.start()
    assert all(row.state == "applied" for row in patches.rows)
    yield host
    patches.stop()


def play(registry):
    """Registrations of all kinds; what is watched and what each callback gets, after each of them."""
    heard: list[object] = []

    def callback(name):
        return lambda path: heard.append((name, path))

    steps = [
        lambda: registry.add("plugins", ["/a0/plugins", "/a0/usr/plugins"], callback("plugins")),
        lambda: registry.add("api", ["/a0/api"], callback("api")),
        lambda: registry.add("inner", ["/a0/api/inner"], callback("inner")),
        lambda: registry.add("usr", ["/a0/usr"], callback("usr")),
        lambda: registry.add("api", ["/a0/api", "/a0/other"], callback("api again")),
        lambda: registry.remove("usr"),
        lambda: registry.remove("unknown"),
        lambda: registry.clear(),
        lambda: registry.add("late", ["/a0/late"], callback("late")),
    ]
    told = []
    for step in steps:
        answer = step()
        observer = registry._observer
        for path in ("/a0/plugins/x", "/a0/usr/plugins/x", "/a0/api/inner/x", "/a0/other/x", "/a0/late/x"):
            if observer is not None:
                observer.emit(path)
        watched = observer and {path: len(handlers) for path, handlers in observer.watches.items()}
        told.append((answer, watched, set(registry._scheduled_roots), list(heard)))
        heard.clear()
    return told


def test_the_same_folders_are_watched_for_the_same_callbacks(patched):
    bare = play(module()._WatchRegistry())
    assert play(patched._WatchRegistry()) == bare
    assert any(heard for *_, heard in bare)


def test_no_tree_is_walked_again_for_another_folder(patched):
    registry, names = patched._WatchRegistry(), [f"/a0/{number}" for number in range(8)]
    for name in names:
        registry.add(name, [name], print)
    # The first is scheduled by the host itself, with the observer that it makes for it.
    assert sorted(registry._observer.walks) == sorted([names[0], *names])
    bare = module()._WatchRegistry()
    for name in names:
        bare.add(name, [name], print)
    assert len(bare._observer.walks) == 36


def test_nothing_is_scheduled_under_the_lock_of_the_registry(patched):
    registry = patched._WatchRegistry()
    registry.add("first", ["/a0/first"], print)
    registry._observer.free.clear()
    registry.add("second", ["/a0/second"], print)
    registry.remove("first")
    registry.add("third", ["/a0/third"], print)
    assert registry._observer.free
    assert all(registry._observer.free)


def test_a_callback_may_add_a_folder_while_another_thread_does(patched):
    registry = patched._WatchRegistry()
    registry.add("first", ["/a0/first"], print)
    observer = registry._observer
    observer.jobs.append(lambda: registry.add("from the callback", ["/a0/callback"], print))
    schedule = observer.schedule
    inside = threading.Event()

    def slow(handler, path, *, recursive=False):
        # As we are about to schedule, the observer's thread takes its own lock and calls back.
        if path == "/a0/second" and not inside.is_set():
            inside.set()
            observer.go.set()
            assert observer.done.wait(10)
        return schedule(handler, path, recursive=recursive)

    observer.schedule = slow
    thread = threading.Thread(target=registry.add, args=("second", ["/a0/second"], print), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert inside.is_set()
    assert set(observer.watches) == {"/a0/first", "/a0/second", "/a0/callback"}


def test_a_folder_that_cannot_be_watched_fails_as_it_does_bare(patched):
    def attempt(registry):
        told = []
        registry.add("1", ["/a0/1"], print)
        registry._observer.refused = {"/a0/2"}
        for name in ("2", "3", "2"):
            try:
                registry.add(name, [f"/a0/{name}"], print)
                told.append("added")
            except OSError as error:
                told.append(repr(error))
            observed = sorted(registry._observer.watches)
            told.append((sorted(registry._scheduled_roots), sorted(registry._watches), observed))
        return told

    bare = attempt(module()._WatchRegistry())
    assert attempt(patched._WatchRegistry()) == bare
    assert "OSError('no more watches')" in bare


def test_a_registry_that_works_in_another_way_is_left_alone(host, monkeypatch):
    monkeypatch.setattr(watchdog, "KNOWN", frozenset())
    refreshing = watchdog.Watching().refreshing
    with pytest.raises(AutoperfError, match="unknown"):
        refreshing(host._WatchRegistry._refresh_observer, None)


def test_without_what_they_are_for_the_other_rows_are_lost_too(host, monkeypatch):
    monkeypatch.setattr(watchdog, "KNOWN", frozenset())
    targets = {name: f"{NAME}:_WatchRegistry.{path}" for name, path in TARGETS.items()}
    patches = PatchSet([Patch(t, "startup", build) for t, build in watchdog.rows(targets, Probe(None))])
    patches.start()
    registry = host._WatchRegistry()
    registry.add("1", ["/a0/1"], print)
    registry.remove("1")
    registry.clear()
    assert {row.as_row()["state"] for row in patches.rows} == {"unrecognised"}
    patches.stop()


def test_undone_it_works_as_before(host):
    targets = {name: f"{NAME}:_WatchRegistry.{path}" for name, path in TARGETS.items()}
    before = {path: vars(host._WatchRegistry)[path] for path in TARGETS.values()}
    patches = PatchSet([Patch(t, "startup", build) for t, build in watchdog.rows(targets, Probe(None))])
    patches.start()
    registry = host._WatchRegistry()
    registry.add("1", ["/a0/1"], print)
    registry.add("2", ["/a0/2"], print)
    patches.stop()
    assert {path: vars(host._WatchRegistry)[path] for path in TARGETS.values()} == before
    registry.add("3", ["/a0/3"], print)
    assert set(registry._observer.watches) == {"/a0/1", "/a0/2", "/a0/3"}


def test_a_generation_without_watchers_has_no_rows():
    assert list(watchdog.rows({}, Probe(None))) == []


def test_a_handler_stays_as_long_as_the_next_one_would_do_the_same():
    registry = object()
    row = ("watch", Handler(registry, "/a0"), {"recursive": True})
    assert watchdog._same(row, (Handler(registry, "/a0"), {"recursive": True}))
    assert not watchdog._same(row, (Handler(object(), "/a0"), {"recursive": True}))
    assert not watchdog._same(row, (Handler(registry, "/a0"), {}))
    assert not watchdog._same(row, (type("Other", (Handler,), {})(registry, "/a0"), {"recursive": True}))
    assert not watchdog._same(row, None)
