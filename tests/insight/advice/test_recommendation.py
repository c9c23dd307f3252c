"""Every rule: advises on what it is for, says nothing with too little data, nor what was followed already."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from autoperf.errors import failures
from autoperf.insight.advice.recommendation import RULES, recommend
from autoperf.insight.facts import Facts, Host, PromptSize, Recommendation, Use
from autoperf.insight.facts.causes import MACHINE
from autoperf.insight.traces.timings import Timing
from autoperf.telemetry import names

MIB = 1 << 20
CACHE = {
    "hits": 100,
    "misses": 300,
    "maxsize": 100,
    "currsize": 100,
    "evictions": 0,
    "invalidations": 0,
    "expirations": 0,
    "ttl": 300.0,
    "seconds_loading": 12.5,
}
LOOKUPS = {"lookups": 400, "hits": 100, "misses": 300, "hit_rate": 0.25}


def timing(kind: str, name: str, count: int, p50: float) -> Timing:
    return Timing(kind, name, count, 0, p50, p50 * 1.5, p50 * 2, p50 * count)


def cached(lookups: dict[str, Any] | None = None, **cache: Any) -> Facts:
    row = {**LOOKUPS, **(lookups or {})}
    return Facts(process={"lookups": {"tools": row}, "caches": {"tools": {**CACHE, **cache}}})


def samples(count: int = 1000, every: float = 10.0, **of_time: Any) -> list[dict[str, Any]]:
    return [
        {"at": 1e9 + every * number, **{name: value(every * number) for name, value in of_time.items()}}
        for number in range(count)
    ]


def growing(rate: float, noise: float, start: float) -> Any:
    generator = random.Random(4)
    return lambda at: start + rate * at + generator.gauss(0, noise)


def one(facts: Facts, rule: str) -> Recommendation:
    (found,) = [advice for advice in recommend(facts) if advice.rule == rule]
    assert all((found.title, found.evidence, found.gain, found.action))
    return found


def none(facts: Facts, rule: str) -> None:
    assert [advice.rule for advice in recommend(facts) if advice.rule == rule] == []


def test_no_facts_no_advice() -> None:
    assert recommend(Facts()) == []
    assert recommend(Facts(samples=samples(10, memory=lambda at: 10.0), host=Host(bytecode=True))) == []


def test_a_cache_that_drops_for_want_of_room_is_to_be_twice_as_large() -> None:
    advice = one(cached(evictions=250), "cache too small")
    assert advice.setting == ("tool_cache_size", "200")
    assert advice.action == "AUTOPERF_TOOL_CACHE_SIZE=200"
    assert "25% of 400 look-ups" in advice.evidence
    assert "250 entries" in advice.evidence
    assert "12.50 s" in advice.gain
    already = replace(cached(evictions=250), options={"tool_cache_size": 400})
    assert one(already, "cache too small").setting == ("tool_cache_size", "800")


def test_a_cache_that_finds_or_was_hardly_asked_is_left_alone() -> None:
    none(cached({"hits": 360}, evictions=250), "cache too small")
    none(cached({"lookups": 100}, evictions=250), "cache too small")
    none(cached({"hits": None}, evictions=250), "cache too small")
    none(cached(evictions=250, invalidations=900), "cache too small")


def test_what_was_counted_before_a_cache_was_changed_says_nothing_of_it() -> None:
    followed = cached(maxsize=200, evictions=250)
    counted = {"lookups": 400, "hits": 100, "evictions": 250, "seconds_loading": 12.5}

    def changed(**since: Any) -> Facts:
        return replace(followed, process={**followed.process, "changed": {"tools": {**counted, **since}}})

    none(changed(), "cache too small")
    none(changed(lookups=201, hits=99), "cache too small")
    # 60 of 300 look-ups since then were hits, 40 entries were dropped.
    still = one(changed(lookups=100, hits=40, evictions=210, seconds_loading=12.0), "cache too small")
    assert still.evidence.startswith("20% of 300 look-ups of tools were hits; 40 entries were dropped")
    assert "0.50 s" in still.gain


def test_a_cache_that_forgets_too_soon() -> None:
    advice = one(cached(expirations=280, evictions=3), "cache expires too soon")
    assert advice.setting == ("tool_cache_ttl", "1200")
    none(cached(expirations=3, invalidations=280), "cache expires too soon")


def test_a_cache_that_is_far_too_large() -> None:
    good = {"lookups": 2000, "hits": 1996}
    assert one(cached(good, maxsize=5000, currsize=12), "cache too large").setting == (
        "tool_cache_size",
        "50",
    )
    none(cached(good, maxsize=100, currsize=12), "cache too large")
    none(cached({"lookups": 999, "hits": 999}, maxsize=5000, currsize=12), "cache too large")


def test_a_slow_mcp_server_until_its_sessions_are_kept() -> None:
    slow = Facts(timings=[timing(names.MCP_CONNECT, "search", 12, 950.0)])
    advice = one(slow, "slow MCP server")
    assert "search" in advice.title
    assert advice.weight == "high"
    assert "+mcp-keep" in advice.action
    for feature in ("mcp-keep", "mcp-standby"):
        none(replace(slow, process={"features": [feature]}), "slow MCP server")
    none(Facts(timings=[timing(names.MCP_CONNECT, "search", 2, 950.0)]), "slow MCP server")
    none(Facts(timings=[timing(names.MCP_CONNECT, "search", 12, 20.0)]), "slow MCP server")
    one(replace(slow, uses={(names.MCP_CONNECT, "search"): Use(1.0, 9)}), "slow MCP server")
    none(replace(slow, uses={(names.MCP_CONNECT, "search"): Use(1.0, 10)}), "slow MCP server")
    none(replace(slow, uses={(names.MCP_CONNECT, "other"): Use(1.0, 0)}), "slow MCP server")


def test_a_tool_that_takes_most_of_the_time() -> None:
    slow = timing(names.EXECUTE_TOOL, "code", 40, 2000.0)
    facts = Facts(timings=[slow], messages=10, message_seconds=100.0, tool_seconds={"code": 80.0})
    assert "80%" in one(facts, "tool dominates").title
    none(replace(facts, tool_seconds={"code": 40.0}), "tool dominates")
    none(replace(facts, tool_seconds={"code": 80.0, "call_subordinate": 90.0}), "tool dominates")
    none(replace(facts, messages=2), "tool dominates")
    none(replace(facts, message_seconds=1000.0), "tool dominates")
    called = {name: replace(facts, timings=[replace(slow, name=name)], tool_seconds={name: 80.0})
              for name in ("response", "a b")}  # fmt: skip
    none(called["response"], "tool dominates")
    none(replace(facts, uses={(names.EXECUTE_TOOL, "code"): Use(1.0, 40)}), "tool dominates")
    odd = one(called["a b"], "tool dominates")
    assert "autoperf traces --tool 'a b', then autoperf traces show ID" in odd.action


def test_messages_that_wait_for_the_model() -> None:
    model = timing(names.CHAT, "gpt", 40, 2000.0)
    facts = Facts(timings=[model], messages=10, message_seconds=100.0, layers={"provider": 90.0})
    assert "90%" in one(facts, "model dominates").title
    none(replace(facts, layers={"provider": 30.0}), "model dominates")
    role = f"{names.CHAT} chat"
    one(replace(facts, uses={(role, "old"): Use(1.0, 3), (role, "gpt"): Use(2.0, 0)}), "model dominates")
    none(replace(facts, uses={(role, "gpt"): Use(1.0, 1), (role, "new"): Use(2.0, 0)}), "model dominates")
    none(replace(facts, messages=4), "model dominates")


def test_a_utility_model_slower_than_the_chat_model() -> None:
    slow = [timing("chat utility", "u", 20, 9000.0), timing("chat chat", "c", 20, 2000.0)]
    assert "7.0 s" in one(Facts(timings=slow), "utility model slow").gain
    none(Facts(timings=slow[:1]), "utility model slow")
    another = {("chat utility", "u"): Use(1.0, 1), ("chat utility", "new"): Use(2.0, 0)}
    none(Facts(timings=slow, uses=another), "utility model slow")
    one(
        Facts(timings=slow, uses={key: Use(1.0, 0) for key in another if key[1] == "u"}), "utility model slow"
    )
    none(Facts(timings=[timing("chat utility", "u", 20, 1000.0), slow[1]]), "utility model slow")


def test_long_prompts_and_a_history_that_grows() -> None:
    facts = Facts(prompts=[PromptSize("c", at, 5000 * (at + 1)) for at in range(20)])
    assert "about 5,000 a call" in one(facts, "history grows").evidence
    none(Facts(prompts=[PromptSize("c", at, 50_000) for at in range(20)]), "history grows")
    followed = [*facts.prompts, *(PromptSize("new", 100 + at, 5000) for at in range(10))]
    none(Facts(prompts=followed), "history grows")
    one(Facts(prompts=followed[:-1]), "history grows")
    none(Facts(prompts=[PromptSize("c", at, 70_000 - at * 100) for at in range(20)]), "history grows")
    assert "70,000" in one(Facts(prompts=[PromptSize("c", 1, 70_000)] * 12), "prompt too long").evidence
    none(Facts(prompts=[PromptSize("c", 1, 70_000)] * 5), "prompt too long")
    none(Facts(prompts=[PromptSize("c", 1, 10_000)] * 50), "prompt too long")
    shorter = [PromptSize("c", 1, 70_000)] * 200 + [PromptSize("c", 2, 10_000)] * 26
    none(Facts(prompts=shorter), "prompt too long")
    one(Facts(prompts=shorter[:-2]), "prompt too long")


def test_many_chats() -> None:
    one(Facts(chats=40), "many chats")
    none(Facts(chats=10), "many chats")


def test_a_leak_with_its_slope_and_how_sure_it_is() -> None:
    facts = Facts(samples=samples(memory=growing(20_000, 2e6, 5e8)))
    advice = one(facts, "memory grows")
    assert float(advice.evidence.split(" ")[0]) == pytest.approx(20_000 * 3600 / MIB, rel=0.05)
    assert advice.weight == "medium"
    limited = one(Facts(samples=[{**row, "memory_limit": 1e9} for row in facts.samples]), "memory grows")
    hours = (1e9 - facts.samples[-1]["memory"]) / 20_000 / 3600
    assert f"the limit is {hours:.0f} h away" in limited.evidence
    assert limited.weight == "high"


def test_warming_up_noise_and_a_short_time_are_no_leak() -> None:
    none(Facts(samples=samples(memory=lambda at: 5e8 + min(at, 2000) * 50_000)), "memory grows")
    none(Facts(samples=samples(memory=lambda at: 5e8 + min(at, 4900) * 50_000)), "memory grows")
    none(Facts(samples=samples(memory=growing(0, 2e6, 5e8))), "memory grows")
    none(Facts(samples=samples(100, memory=growing(50_000, 1e6, 5e8))), "memory grows")
    none(Facts(samples=samples(memory=growing(100, 1e4, 5e8))), "memory grows")


def test_close_to_the_containers_limit() -> None:
    def near(share: float, count: int = 10) -> Facts:
        row = {"memory_limit": 100 * MIB, "memory_of_limit": share * 100 * MIB}
        return Facts(samples=[{"at": at, **row} for at in range(count)])

    advice = one(near(0.95), "memory close to the limit")
    assert "95 of 100 MiB" in advice.evidence
    assert advice.action == "docker update --memory 150m CONTAINER"

    def mostly(far: int) -> Facts:
        return Facts(samples=[*near(0.5, far).samples, *near(0.95, 10 - far).samples])

    one(mostly(2), "memory close to the limit")
    none(mostly(3), "memory close to the limit")
    none(near(0.5), "memory close to the limit")
    none(near(0.95, 4), "memory close to the limit")


def test_torch_that_nobody_needs_until_imports_are_lazy() -> None:
    facts = Facts(host=Host(torch_loaded=True, local_models=False))
    assert "+imports" in one(facts, "torch loaded for nothing").action
    none(replace(facts, process={"features": ["imports"]}), "torch loaded for nothing")
    none(Facts(host=Host(torch_loaded=True, local_models=True)), "torch loaded for nothing")
    none(Facts(host=Host(torch_loaded=True)), "torch loaded for nothing")
    none(Facts(host=Host(torch_loaded=False, local_models=False)), "torch loaded for nothing")


def test_browsers_left_over() -> None:
    def browsers(count: int) -> Any:
        return samples(300, children=lambda at: {"chrome": [count, count * 100 * MIB], "sh": [9, 1]})

    assert "500 MiB" in one(Facts(samples=browsers(5)), "leftover browsers").gain
    none(Facts(samples=browsers(2)), "leftover browsers")
    used = (names.EXECUTE_TOOL, "browser_agent")
    none(Facts(samples=browsers(5), uses={used: Use(1e9 + 2990 - 1800, 3)}), "leftover browsers")
    one(Facts(samples=browsers(5), uses={used: Use(1e9 + 2990 - 1801, 3)}), "leftover browsers")
    none(Facts(samples=browsers(5)[:20]), "leftover browsers")
    none(Facts(samples=[*browsers(5), {"at": 1e9 + 3000, "children": {}}]), "leftover browsers")


@pytest.mark.parametrize("name", ["files", "threads"])
def test_handles_that_grow(name: str) -> None:
    facts = Facts(samples=samples(**{name: lambda at: 100 + at // 50}))
    assert "72 an hour" in one(facts, f"{name} grow").evidence
    none(Facts(samples=samples(**{name: lambda at: 100 + at // 5000})), f"{name} grow")
    none(Facts(samples=samples(**{name: lambda at: 100})), f"{name} grow")
    # At the start there are few; since then a handful more have come.
    started = samples(**{name: lambda at: 4 if at < 30 else 100 + at // 500})
    none(Facts(samples=started), f"{name} grow")


def test_one_place_that_blocks_the_loop() -> None:
    stall = {"seconds": 8.0, "stack": ["agent.py:1 monologue", "helpers/git.py:9 release"], "cause": "code"}
    facts = Facts(stalls=[stall] * 6, process={"features": []})
    advice = one(facts, "loop blocked")
    assert advice.title.startswith("release blocks")
    assert advice.weight == "high"
    assert "+settings" in advice.action
    everything = {"features": ["output", "prompts", "settings", "streaming"]}
    assert "report it" in one(replace(facts, process=everything), "loop blocked").action
    evidence = "one stall of 30.0 s at helpers/git.py:9 release, from agent.py:1 monologue"
    forever = one(Facts(stalls=[{**stall, "seconds": 30.0}]), "loop blocked")
    assert (forever.weight, forever.evidence) == ("high", evidence)
    none(Facts(stalls=[{**stall, "seconds": 29.0}]), "loop blocked")
    deep = {**stall, "stack": [f"f{n}.py:1 f{n}" for n in range(9)], "seconds": 30.0}
    told = one(Facts(stalls=[deep]), "loop blocked").evidence
    assert told.endswith(" at f8.py:1 f8, from f7.py:1 f7, from f6.py:1 f6, from f5.py:1 f5")
    short = {**stall, "seconds": 7.4}
    none(Facts(stalls=[short] * 4), "loop blocked")
    brief = {"seconds": 0.3, "stack": ["agent.py:1 monologue"], "cause": "code"}
    assert one(Facts(stalls=[brief] * 5), "loop blocked").weight == "medium"
    assert "8.0 s on average" in one(Facts(stalls=[brief] * 9 + [stall] * 5), "loop blocked").evidence
    none(Facts(stalls=[{**stall, "stack": []}] * 6), "loop blocked")


EVERYTHING = {"features": ["output", "prompts", "settings", "streaming"]}
DIRTY = {"seconds": 8.0, "stack": ["run_ui.py:1 poll", "helpers/state_monitor.py:9 mark_dirty"]}


@pytest.mark.parametrize(
    "cause", ["wait", "lock", "starved", "throttled", "stolen", "stopped", "paging", "", None]
)
def test_code_that_had_no_cpu_is_reported_to_nobody(cause: str | None) -> None:
    stall = DIRTY if cause is None else {**DIRTY, "cause": cause, "holder": "indexer in a.py:1 f"}
    advice = recommend(Facts(stalls=[stall] * 9, process=EVERYTHING))
    assert not [
        one for one in advice if "mark_dirty" in f"{one.title}{one.evidence}" or "report" in one.action
    ]


def test_a_wait_is_advised_on_where_a_feature_of_ours_may_shorten_it() -> None:
    waits = Facts(stalls=[{**DIRTY, "cause": "wait"}] * 9, process={"features": ["output", "prompts"]})
    assert one(waits, "loop blocked").action == "AUTOPERF_FEATURES=+settings,+streaming"


@pytest.mark.parametrize("cause", MACHINE)
def test_the_machine_is_told_with_what_it_kept_back(cause: str) -> None:
    stall = {"seconds": 8.0, "stack": [], "cause": cause, "measured": {"cpu": 0.08, "load": 7.5}}
    advice = one(Facts(stalls=[stall] * 6, process=EVERYTHING), "loop held up by the machine")
    assert advice.evidence == "6 stalls of 8.0 s on average (1.0 % of it on a CPU); load 7.5"
    assert (advice.weight, advice.gain) == ("high", "48 s in which no chat moved")
    assert advice.title.endswith(MACHINE[cause])
    none(Facts(stalls=[{**stall, "seconds": 7.0}] * 4), "loop held up by the machine")


def test_disks_and_bytecode() -> None:
    one(Facts(host=Host(file_system="nfs4", remote=True)), "network mount")
    none(Facts(host=Host(file_system="ext4")), "network mount")
    one(Facts(samples=[{"at": 1, "disk_free": 5 * MIB}]), "disk nearly full")
    none(Facts(samples=[{"at": 1, "disk_free": 5000 * MIB}]), "disk nearly full")
    one(Facts(host=Host(bytecode=False)), "no compiled files")
    none(Facts(host=Host(bytecode=True)), "no compiled files")
    none(Facts(), "no compiled files")


def test_the_weightiest_comes_first_and_a_rule_that_fails_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_: Facts) -> Any:
        raise KeyError("x")

    monkeypatch.setenv("AUTOPERF_FAIL_OPEN", "1")
    facts = Facts(chats=99, samples=[{"at": 1, "disk_free": 1}], host=Host(bytecode=False))
    advice = recommend(facts, (broken, *RULES[::-1]))
    assert [one.weight for one in advice] == ["high", "medium", "low"]
    assert any(row["seam"] == "recommendations" for row in failures.as_rows())


def test_a_host_on_a_shared_mount_and_a_disk_that_others_wait_for() -> None:
    assert "9p" in one(Facts(host=Host(root_file_system="9p", root_remote=True)), "slow mount").evidence
    none(Facts(host=Host(root_file_system="ext4")), "slow mount")
    waiting = samples(60, io_waiting=lambda at: 0.4)
    assert "40%" in one(Facts(samples=waiting), "slow disk").evidence
    none(Facts(samples=waiting[:59]), "slow disk")
    none(Facts(samples=samples(60, io_waiting=lambda at: 0.2)), "slow disk")
    none(Facts(samples=samples(60, io_waiting=lambda at: 0.4 if at % 20 else 0.0)), "slow disk")
