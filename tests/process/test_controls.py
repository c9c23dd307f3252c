"""Dropping what is kept, by name, and other values in force while the host runs; the functions of the API."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import autoperf
from autoperf.errors.fence import MISS
from autoperf.insight.advice.recommendation import recommend
from autoperf.insight.facts import Facts
from autoperf.instrumentation.agentzero import detect
from autoperf.instrumentation.agentzero.loading.classes import Loaded
from autoperf.memo.counters import Lookups
from autoperf.memo.inputs import Inputs
from autoperf.memo.lru import Recent
from autoperf.memo.memo import Memo
from autoperf.memo.prefix import Entry, GrowingTexts
from autoperf.memo.snapshot import Stamp
from autoperf.memo.watch import Watch
from autoperf.process import controls, runtime
from autoperf.process.config import Config
from autoperf.process.runtime import Runtime

HOSTS = Path(__file__).resolve().parents[1] / "hosts"


@pytest.fixture
def process(tmp_path: Path) -> Runtime:
    """A runtime of a look-alike that patches nothing: it is not started."""
    root = HOSTS / "v0_9_8"
    layout = detect(root)
    assert layout is not None
    return Runtime(root, layout, Config(home=tmp_path / "state", quiet=True))


def fill(process: Runtime, name: str, count: int) -> None:
    for number in range(count):
        process.caches[name].keep(f"key {number}", Loaded([]), Stamp((1,), 0), 0.0)


def test_by_name_and_everything(process: Runtime) -> None:
    fill(process, "tools", 3)
    fill(process, "extensions", 2)
    assert controls.clear(process, "tools") == {"tools": 3}
    assert [len(process.caches[name].keys()) for name in ("tools", "extensions")] == [0, 2]
    everything = controls.clear(process)
    assert everything.pop("extensions") == 2
    assert set(everything.values()) == {0}
    assert {"tools", "prompts", "code", "paths", "replies"} <= set(everything)


def test_statistics_stay(process: Runtime) -> None:
    fill(process, "tools", 3)
    before = process.caches["tools"].info().misses
    controls.clear(process)
    assert process.caches["tools"].info().misses == before == 3


def test_an_unknown_name_drops_nothing_and_tells_the_known_ones(process: Runtime) -> None:
    fill(process, "tools", 1)
    with pytest.raises(ValueError, match=r"nothing is kept under tolls; there are tools, .*replies"):
        controls.clear(process, "tools", "tolls")
    assert len(process.caches["tools"].keys()) == 1


def test_what_a_memo_keeps_is_found_under_its_name(process: Runtime) -> None:
    dropped: list[str] = []
    for name, count in (("here", 2), ("here", 3), ("there", 4)):
        process.probe.clears(name, lambda name=name, count=count: dropped.append(name) or count)
    assert controls.clear(process, "here") == {"here": 5}
    assert dropped == ["here", "here"]


def test_what_is_kept_in_two_places_under_one_name_is_dropped_in_both(process: Runtime) -> None:
    fill(process, "tools", 2)
    process.probe.clearing["tools"] = [lambda: 3]
    assert controls.clear(process, "tools") == {"tools": 5}
    assert process.caches["tools"].keys() == []


def test_replies_that_grow_begin_anew(process: Runtime) -> None:
    process.probe.replies.keep(Entry("a reply", 1))
    process.probe.roots.keep(Entry("a reply", 1))
    assert controls.clear(process, "replies") == {"replies": 2}
    assert process.probe.replies.claim("a reply goes on") is None


def test_every_kind_of_memo_can_be_emptied(tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_text("x")
    os.utime(file, (1, 1))
    memo: Memo[int] = Memo(Watch(), Lookups())
    inputs = Inputs(Watch())
    inputs.file(str(tmp_path / "absent"))
    memo.keep("key", 1, inputs)
    assert memo.find("key") == 1
    assert (memo.clear(), memo.find("key"), memo.clear()) == (1, MISS, 0)
    recent: Recent[str, int] = Recent(100, lambda key, value: 1)
    recent.put("key", 1)
    assert (recent.clear(), recent.get("key"), recent.clear()) == (1, None, 0)
    texts = GrowingTexts()
    texts.keep(Entry("text"))
    assert (texts.clear(), len(texts)) == (1, 0)


@pytest.mark.parametrize(
    ("option", "text", "before", "after"),
    [
        ("tool_cache_size", "200", 100, 200),
        ("tool_cache_ttl", "1200", 300.0, 1200.0),
        ("extension_cache_size", "7", 50, 7),
        ("extension_cache_ttl", "9", 300.0, 9.0),
        ("monitor_interval", "2.5", 5.0, 2.5),
    ],
)
def test_another_value_is_in_force_at_once(
    process: Runtime, option: str, text: str, before: float, after: float
) -> None:
    assert controls.change(process, option, text) == (before, after)
    assert process.snapshot()["options"][option] == after
    tools, extensions = process.caches["tools"], process.caches["extensions"]
    assert process.caches["prompts"].maxsize == tools.maxsize
    actual = {
        "tool_cache_size": tools.maxsize,
        "tool_cache_ttl": tools.ttl,
        "extension_cache_size": extensions.maxsize,
        "extension_cache_ttl": extensions.ttl,
        "monitor_interval": process.monitor.interval,
    }
    others = {name: value for name, value in actual.items() if name != option}
    assert actual[option] == after
    assert others == {name: getattr(Config(), name) for name in others}


def test_code_is_kept_as_long_as_what_is_made_of_it(process: Runtime) -> None:
    controls.change(process, "extension_cache_ttl", "900")
    assert process.code.cache.ttl == 900
    controls.change(process, "extension_cache_ttl", "20")
    assert process.code.cache.ttl == 300


def test_a_smaller_size_drops_the_oldest(process: Runtime) -> None:
    fill(process, "tools", 3)
    controls.change(process, "tool_cache_size", "2")
    assert process.caches["tools"].keys() == ["key 1", "key 2"]


def test_advice_that_was_followed_is_not_given_again(process: Runtime) -> None:
    cache, lookups = process.caches["tools"], process.probe.tool_lookups
    controls.change(process, "tool_cache_size", "2")

    def work(times: int) -> None:
        for number in range(times):
            cache.keep(f"key {number}", Loaded([]), Stamp((1,), 0), 0.01)
            lookups.count(hit=False)

    def advised() -> list[tuple[str, str] | None]:
        return [one.setting for one in recommend(Facts(process=process.snapshot()))]

    work(300)
    assert advised() == [("tool_cache_size", "4")]
    controls.change(process, "monitor_interval", "9")
    controls.change(process, "extension_cache_ttl", "900")
    assert advised() == [("tool_cache_size", "4")]
    controls.change(process, "tool_cache_size", "4")
    assert advised() == []
    work(199)
    assert advised() == []
    work(2)
    assert advised() == [("tool_cache_size", "8")]


@pytest.mark.parametrize(
    ("option", "text"), [("features", "none"), ("tool", "off"), ("tool_cache_size", "0"), ("x", "1")]
)
def test_no_other_option_and_no_bad_value(process: Runtime, option: str, text: str) -> None:
    before = process.config
    with pytest.raises(ValueError, match=r"cannot be changed|use 1 or more"):
        controls.change(process, option, text)
    assert process.config is before


def test_the_api_does_the_same(process: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    assert autoperf.clear_cache() == {}
    monkeypatch.setattr(runtime, "_current", process)
    fill(process, "tools", 3)
    assert autoperf.clear_cache("tools") == {"tools": 3}
    assert autoperf.clear_cache(["tools", "extensions"]) == {"tools": 0, "extensions": 0}
    assert "code" in autoperf.clear_cache()
    with pytest.raises(ValueError, match="there are tools"):
        autoperf.clear_cache("nonsense")


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan")])
def test_no_interval_that_is_none(process: Runtime, interval: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        autoperf.start_monitoring(interval)
    with pytest.raises(ValueError, match="above 0"):
        process.monitor.start(interval)
    assert not process.monitor.running
