"""Where the rules of advice begin: what is just enough, and what is just too little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoperf.insight.facts import Facts, PromptSize
from autoperf.telemetry import names
from tests.insight.advice.test_recommendation import MIB, cached, none, one, samples, timing


@pytest.mark.parametrize("program", ["chrome", "chromium", "headless_shell", "firefox", "node_playwright"])
def test_three_browsers_of_any_kind_are_left_over(program: str) -> None:
    def browsers(count: int) -> Any:
        return samples(300, children=lambda at: {program: [count, count * MIB]})

    one(Facts(samples=browsers(3)), "leftover browsers")
    none(Facts(samples=browsers(2)), "leftover browsers")


def test_a_disk_is_nearly_full_below_200_mib() -> None:
    one(Facts(samples=[{"at": 1, "disk_free": 199 * MIB}]), "disk nearly full")
    none(Facts(samples=[{"at": 1, "disk_free": 200 * MIB}]), "disk nearly full")


def test_a_disk_is_slow_in_three_samples_of_four() -> None:
    one(Facts(samples=samples(60, io_waiting=lambda at: 0.4 if at % 50 else 0.0)), "slow disk")
    none(Facts(samples=samples(60, io_waiting=lambda at: 0.4 if at % 30 else 0.0)), "slow disk")


def test_a_tool_dominates_from_half_the_time_on() -> None:
    slow = timing(names.EXECUTE_TOOL, "code", 10, 1000.0)
    facts = Facts(timings=[slow], messages=5, message_seconds=20.0, tool_seconds={"code": 10.0})
    one(facts, "tool dominates")
    none(replace(facts, message_seconds=20.1), "tool dominates")
    none(replace(facts, timings=[replace(slow, count=9)]), "tool dominates")


def test_a_utility_model_that_is_slow_beside_a_slower_chat_model_is_none() -> None:
    rows = [timing("chat utility", "u", 10, 4000.0), timing("chat chat", "c", 10, 5000.0)]
    none(Facts(timings=rows), "utility model slow")
    one(Facts(timings=[rows[0], replace(rows[1], p50_ms=3900.0)]), "utility model slow")


def test_a_history_grows_by_four_times_and_beyond_what_is_long() -> None:
    def grown(first: int, last: int) -> Facts:
        step = (last - first) / 19
        return Facts(prompts=[PromptSize("c", at, round(first + step * at)) for at in range(20)])

    one(grown(20_000, 80_000), "history grows")
    none(grown(20_000, 79_000), "history grows")
    none(grown(1_000, 59_000), "history grows")


def test_a_slow_server_weighs_by_what_it_took() -> None:
    slow = timing(names.MCP_CONNECT, "search", 5, 300.0)
    assert one(Facts(timings=[slow]), "slow MCP server").weight == "medium"
    none(Facts(timings=[replace(slow, p50_ms=299.0)]), "slow MCP server")
    none(Facts(timings=[replace(slow, count=4)]), "slow MCP server")
    assert one(Facts(timings=[replace(slow, total_ms=10_001.0)]), "slow MCP server").weight == "high"


def test_what_makes_most_entries_go_is_what_is_mended() -> None:
    one(cached(evictions=201, expirations=200, invalidations=200), "cache too small")
    none(cached(evictions=200, expirations=200), "cache too small")
    one(cached(evictions=200, expirations=200), "cache expires too soon")
    none(cached(evictions=100, expirations=150, invalidations=150), "cache expires too soon")


def test_a_cache_is_too_large_only_after_a_thousand_uses() -> None:
    def large(hits: int) -> Facts:
        return cached({"lookups": hits, "hits": hits}, maxsize=5000, currsize=40)

    assert one(large(1000), "cache too large").setting == ("tool_cache_size", "80")
    none(large(999), "cache too large")
