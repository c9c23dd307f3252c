"""The mistakes of an earlier attempt, 18 to 22: statistics, locks, threads, benchmarks, empty results."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autoperf.memo.cache import Cache
from autoperf.memo.snapshot import ABSENT, Stamp
from tests.process.test_runtime import HOSTS, act

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("host", HOSTS)
def test_18_statistics_are_counted_and_the_first_load_is_no_hit(tmp_path, host):
    """Mistake: ``hit`` was always true, gains were invented, overhead was negative."""
    told, _ = act(host, "after", tmp_path, AUTOPERF_QUIET="1")
    counted = told["snapshot"]
    tools = counted["lookups"]["tools"]
    assert (tools["lookups"], tools["hits"] + tools["misses"]) == (4, 4)  # echo, echo, echo, response
    assert tools["misses"] >= 1
    assert {row["name"]: row["count"] for row in counted["tools"]} == {"echo": 3, "response": 1}
    assert all(row.get("overhead_ms", 0) >= 0 and row["errors"] == 0 for row in counted["tools"])
    for name, cache in counted["caches"].items():
        lookups = counted["facts"]["caches"][name]
        assert cache["loads"] == 0 or lookups["misses"] > 0
        assert cache["seconds_saved"] == 0 or lookups["hits"] > 0
        assert not {"hits", "misses"} & set(cache), "how often there was a hit stands in one place"


def test_19_two_event_loops_use_the_caches_at_once():
    """Mistake: an asyncio lock of one loop was used from another; here no lock belongs to a loop."""
    cache: Cache[int] = Cache(10, 300.0)
    found: list[list[int]] = []

    async def look_up() -> list[int]:
        async def one(key: int) -> int:
            await asyncio.sleep(0)
            return cache.get_or_load(key, lambda: key, lambda: ABSENT)

        return await asyncio.gather(*(one(n % 5) for n in range(200)))

    threads = [threading.Thread(target=lambda: found.append(asyncio.run(look_up()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [[n % 5 for n in range(200)]] * 3


@pytest.mark.parametrize("host", ["v0_9_8", "v2"])
def test_20_nothing_of_ours_runs_on_the_agents_loop_by_itself(tmp_path, host):
    """Mistake: the monitor slept 100 ms per sample on the loop that all chats share."""
    told, _ = act(host, "threads", tmp_path, AUTOPERF_QUIET="1")
    assert told["host_threads"] == ["AgentContext"]
    assert told["ours"], "what we do beside the host, we do in a thread of our own"
    assert not any(told["ours"].values()), "and no thread of ours runs a loop"
    assert told["tasks"] == [], "nor is a task of ours on the host's"


def test_21_the_benchmark_measures_the_real_program():
    """Mistake: the benchmark timed two empty loops; ours names the host that it cannot find."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.compare_conversation", "/no/such/checkout"],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "%" not in done.stdout
    assert "/no/such/checkout" in done.stdout + done.stderr


def test_22_empty_results_are_kept_like_any_other():
    """Mistake: an empty answer was taken for none, and looked up again at every call."""
    cache: Cache[list[int]] = Cache(10, 300.0)
    loads: list[int] = []

    def load() -> list[int]:
        loads.append(1)
        return []

    for _ in range(5):
        assert cache.get_or_load("nothing", load, lambda: Stamp(("absent",), 0)) == []
    assert len(loads) == 1
    assert cache.info().hits == 4


@pytest.mark.parametrize("host", HOSTS)
def test_22_points_without_extensions_are_hits(tmp_path, host):
    """The same mistake, in the host: empty extension points were searched for on disk each time."""
    told, _ = act(host, "after", tmp_path, AUTOPERF_QUIET="1")
    extensions = told["snapshot"]["lookups"]["extensions"]
    assert extensions["hit_rate"] > 0.5
