"""Times the host's own callable and ours side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("pytest_benchmark")

Call = Callable[[], Any]
ROUNDS, ITERATIONS = 5, 20


@pytest.fixture
def compare(benchmark: Any) -> Callable[..., None]:
    """Call both, require equal results, and record ``ratio``: the host's time divided by ours."""

    def run(
        original: Callable[[], Any], patched: Callable[[], Any], result: Callable[[Any], Any] = repr
    ) -> None:
        for _ in range(3):
            assert result(patched()) == result(original())
        bare = min(_batch(original) for _ in range(ROUNDS)) / ITERATIONS
        benchmark.pedantic(patched, rounds=ROUNDS, iterations=ITERATIONS, warmup_rounds=1)
        benchmark.extra_info["bare_us"] = round(bare * 1e6, 3)
        if benchmark.stats is not None:  # None under --benchmark-disable
            benchmark.extra_info["ratio"] = round(bare / benchmark.stats.stats.min, 2)
        assert result(patched()) == result(original())

    return run


def _batch(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    for _ in range(ITERATIONS):
        call()
    return time.perf_counter() - started
