"""The cache: bounded, aged, validated at every hit, one load at a time, and statistics that are measured."""

from __future__ import annotations

import threading

import pytest

from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import ABSENT, Stamp

OLD = Stamp(("v1",), 0)
NEW = Stamp(("v2",), 0)


@pytest.fixture
def cache(clock) -> Cache[str]:
    return Cache(2, 300.0, clock=clock, wall_ns=clock.ns)


def get(cache: Cache[str], key: str, value: str = "", stamp: Stamp = OLD) -> str:
    return cache.get_or_load(key, lambda: value or key, lambda: stamp)


def test_a_hit_does_not_load_again(cache):
    assert get(cache, "a", "first") == "first"
    assert get(cache, "a", "second") == "first"
    info = cache.info()
    assert (info.hits, info.misses, info.loads, info.currsize) == (1, 1, 1, 1)


def test_a_changed_stamp_loads_again_and_counts_an_invalidation(cache):
    get(cache, "a", "first")
    assert get(cache, "a", "second", NEW) == "second"
    assert get(cache, "a", "third", ABSENT) == "third"
    assert cache.info().invalidations == 2


def test_a_stamp_too_fresh_to_be_trusted_is_not_a_hit(cache, clock):
    written_now = Stamp(("v1",), clock.ns())
    get(cache, "a", "first", written_now)
    assert get(cache, "a", "second", written_now) == "second"
    clock.now += 1
    assert get(cache, "a", "third", written_now) == "third", "what was loaded unsettled stays untrusted"
    assert get(cache, "a", "fourth", written_now) == "third"


def test_a_settled_stamp_is_a_hit_once_loaded_later(cache, clock):
    written = Stamp(("v1",), clock.ns())
    clock.now += 1
    get(cache, "a", "first", written)
    assert get(cache, "a", "second", written) == "first"


def test_age_counts_from_the_load_and_does_not_slide(cache, clock):
    get(cache, "a", "first")
    for _ in range(3):
        clock.now += 99
        assert get(cache, "a", "later") == "first"
    clock.now += 99
    assert get(cache, "a", "later") == "later"
    assert cache.info().expirations == 1


def test_expire_drops_only_what_is_old(cache, clock):
    get(cache, "a")
    clock.now += 200
    get(cache, "b")
    clock.now += 100
    assert cache.expire() == 1
    assert cache.peek("a") is None
    assert cache.peek("b") == "b"


def test_the_least_recently_used_goes_first(cache):
    get(cache, "a")
    get(cache, "b")
    get(cache, "a")
    get(cache, "c")
    assert cache.peek("b") is None
    assert cache.peek("a") == "a"
    assert cache.info().evictions == 1


def test_resize_shrinks_at_once_and_refuses_nothing_left(cache):
    get(cache, "a")
    get(cache, "b")
    cache.resize(1)
    assert cache.info().currsize == 1
    with pytest.raises(ValueError, match="1 or more"):
        cache.resize(0)


def test_what_a_load_raises_passes_and_is_not_kept(cache):
    def broken() -> str:
        raise KeyError("host")

    for _ in range(2):
        with pytest.raises(KeyError):
            cache.get_or_load("a", broken, lambda: OLD)
    assert get(cache, "a", "mended") == "mended"
    info = cache.info()
    assert (info.misses, info.loads, info.hits) == (3, 1, 0)


def test_what_a_caller_loaded_itself_is_found_while_it_is_fresh(cache):
    assert cache.find("a", OLD) is None
    cache.keep("a", "mine", OLD, 0.5)
    assert cache.find("a", OLD) == "mine"
    assert cache.find("a", NEW) is None
    info = cache.info()
    assert (info.hits, info.misses, info.loads, info.invalidations) == (1, 1, 1, 1)
    assert info.seconds_loading == 0.5


def test_a_change_while_loading_shows_at_the_next_call(cache):
    stamps = iter([OLD, NEW, NEW])
    cache.get_or_load("a", lambda: "read before the change", lambda: next(stamps))
    assert cache.get_or_load("a", lambda: "read after", lambda: next(stamps)) == "read after"


def test_two_threads_load_a_key_once(cache):
    entered, proceed = threading.Event(), threading.Event()
    loads: list[str] = []

    def slow() -> str:
        entered.set()
        assert proceed.wait(10)
        loads.append("load")
        return "value"

    results: list[str] = []
    first = threading.Thread(target=lambda: results.append(cache.get_or_load("a", slow, lambda: OLD)))
    second = threading.Thread(target=lambda: results.append(cache.get_or_load("a", slow, lambda: OLD)))
    first.start()
    assert entered.wait(10)
    second.start()
    proceed.set()
    first.join(10)
    second.join(10)
    assert results == ["value", "value"]
    assert loads == ["load"]


def test_whoever_waited_for_a_failed_load_loads_for_himself(cache):
    entered, proceed = threading.Event(), threading.Event()

    def fails() -> str:
        entered.set()
        assert proceed.wait(10)
        raise OSError("gone")

    errors: list[BaseException] = []

    def first() -> None:
        try:
            cache.get_or_load("a", fails, lambda: OLD)
        except OSError as error:
            errors.append(error)

    results: list[str] = []
    one = threading.Thread(target=first)
    two = threading.Thread(target=lambda: results.append(get(cache, "a", "mine")))
    one.start()
    assert entered.wait(10)
    two.start()
    proceed.set()
    one.join(10)
    two.join(10)
    assert len(errors) == 1
    assert results == ["mine"]


def test_a_load_that_asks_for_its_own_key_does_not_wait_for_itself(cache):
    def outer() -> str:
        return "outer of " + get(cache, "a", "inner")

    assert cache.get_or_load("a", outer, lambda: OLD) == "outer of inner"


def test_reported_savings_and_reexecutions_add_up(cache):
    cache.saved(0.25)
    cache.saved(0.5)
    cache.reexecuted()
    assert cache.info().seconds_saved == 0.75
    assert cache.info().reexecutions == 1


def test_seconds_loading_is_measured(cache, clock):
    def load() -> str:
        clock.now += 2.5
        return "x"

    cache.get_or_load("a", load, lambda: OLD)
    assert cache.info().seconds_loading == 2.5
    assert cache.info().as_row()["seconds_loading"] == 2.5


def test_clear_keeps_the_statistics(cache):
    get(cache, "a")
    get(cache, "a")
    assert cache.clear() == 1
    assert cache.info().hits == 1
    assert cache.info().currsize == 0


def test_a_quick_hit_is_counted_and_keeps_the_entry_young(cache):
    value = get(cache, "a")
    get(cache, "b")
    assert cache.hit("a", value, OLD.signature, 0.5)
    get(cache, "c")
    assert cache.peek("a") == "a", "the one used last stays"
    assert cache.peek("b") is None
    assert (cache.info().hits, cache.info().seconds_saved) == (1, 0.5)


def test_a_quick_hit_is_none_where_anything_is_not_as_it_was(cache, clock):
    value = get(cache, "a", "first")
    fresh = get(cache, "fresh", "second", Stamp(("v1",), clock.ns()))
    before = cache.info()
    assert not cache.hit("a", value, NEW.signature, 1.0)
    assert not cache.hit("a", "another", OLD.signature, 1.0)
    assert not cache.hit("b", value, OLD.signature, 1.0)
    assert not cache.hit("fresh", fresh, OLD.signature, 1.0), "written within the tick before it was seen"
    assert cache.info() == before
    clock.now += 300
    assert not cache.hit("a", value, OLD.signature, 1.0)
    assert cache.info() == before, "the long way counts what has aged"
